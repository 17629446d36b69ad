#include "api/upload_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/clock.h"

#define SWEEP_MS ((uint64_t)5 * 60 * 1000)

struct upload_sweeper {
    struct api *api;
    uv_timer_t timer;
    uv_work_t work;
    char dir[PATH_MAX];
    uint64_t ttl_ms, now_ms;
    size_t parts, expired; /* removed by this sweep */
    bool sweeping, closing;
    void (*on_closed)(void *arg);
    void *arg;
};

bool upload_part_path(const char *blob_dir, const char *id, char *dst, size_t cap)
{
    return (size_t)snprintf(dst, cap, "%s/uploads/%s.part", blob_dir, id) < cap;
}

bool upload_final_path(const char *blob_dir, const char *id, char *dst, size_t cap)
{
    return (size_t)snprintf(dst, cap, "%s/uploads/%s", blob_dir, id) < cap;
}

static enum err make_dir(const char *path, struct fault *reterr)
{
    if (mkdir(path, 0750) == 0 || errno == EEXIST)
        return ERR_OK;
    return fault_set(reterr, ERR_IO, errno, "mkdir %s: %s", path, err_errno(errno));
}

enum err upload_store_prepare(const char *blob_dir, struct fault *reterr)
{
    char uploads[PATH_MAX];
    enum err e = make_dir(blob_dir, reterr);

    if (e != ERR_OK)
        return e;
    if ((size_t)snprintf(uploads, sizeof uploads, "%s/uploads", blob_dir) >=
        sizeof uploads - 64)
        return fault_set(reterr, ERR_MALFORMED, 0, "BLOB_DIR: path too long");
    return make_dir(uploads, reterr);
}

/* --- the sweep, on a pool thread ------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

/* A free lock means that the writer is dead. It is held while the file is removed: a writer that was about
 * to lock its new file sees that it has lost it. */
static bool remove_orphan(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool removed;

    if (fd < 0)
        return false;
    removed = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) == 0;
    (void)close(fd);
    return removed;
}

static bool is_expired(const struct upload_sweeper *s, const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000 + s->ttl_ms <= s->now_ms;
}

static void sweep_one(struct upload_sweeper *s, int dir, const char *name)
{
    struct stat st;

    if (name[0] == '.' || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return;
    if (ends_in(name, ".part"))
        s->parts += remove_orphan(dir, name);
    else if (is_expired(s, &st) && unlinkat(dir, name, 0) == 0)
        s->expired++;
}

static void sweep_on_thread(uv_work_t *work)
{
    struct upload_sweeper *s = CONTAINER(work, struct upload_sweeper, work);
    DIR *d = opendir(s->dir);
    struct dirent *entry;

    if (d == NULL)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
    while ((entry = readdir(d)) != NULL)
        sweep_one(s, dirfd(d), entry->d_name);
    (void)closedir(d);
}

static void on_closed(uv_handle_t *h)
{
    struct upload_sweeper *s = h->data;
    void (*closed)(void *) = s->on_closed;
    void *arg = s->arg;

    free(s);
    closed(arg);
}

static void on_swept(uv_work_t *work, int status)
{
    struct upload_sweeper *s = CONTAINER(work, struct upload_sweeper, work);

    (void)status;
    s->sweeping = false;
    if (s->parts + s->expired > 0)
        log_info(&s->api->log, "uploads.swept", LOG_U("unfinished", s->parts),
                 LOG_U("expired", s->expired));
    if (s->closing)
        uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void sweep(uv_timer_t *t)
{
    struct upload_sweeper *s = t->data;

    if (s->sweeping)
        return;
    s->now_ms = clock_wall_ms();
    s->parts = s->expired = 0;
    s->sweeping = uv_queue_work(t->loop, &s->work, sweep_on_thread, on_swept) == 0;
}

enum err upload_sweeper_new(struct api *api, struct upload_sweeper **ret, struct fault *reterr)
{
    struct upload_sweeper *s = calloc(1, sizeof *s);
    uint64_t every = api->opt->upload_ttl_ms < SWEEP_MS ? api->opt->upload_ttl_ms : SWEEP_MS;

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the sweeper");
    s->api = api;
    s->ttl_ms = api->opt->upload_ttl_ms;
    (void)snprintf(s->dir, sizeof s->dir, "%s/uploads", api->opt->blob_dir);
    must(uv_timer_init(loop_uv(api->loop), &s->timer) == 0);
    s->timer.data = s;
    must(uv_timer_start(&s->timer, sweep, 0, every) == 0);
    *ret = s;
    return ERR_OK;
}

void upload_sweeper_close(struct upload_sweeper **p, void (*closed)(void *arg), void *arg)
{
    struct upload_sweeper *s = *p;

    *p = NULL;
    s->closing = true;
    s->on_closed = closed;
    s->arg = arg;
    if (!s->sweeping)
        uv_close((uv_handle_t *)&s->timer, on_closed);
}
