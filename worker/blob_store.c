#include "worker/blob_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/failpoint.h"
#include "shared/hash.h"

struct store {
    uv_work_t work;
    const char *dir;
    struct blob_item *items;
    size_t n;
    blob_stored_fn *cb;
    void *arg;
    enum err err;
    struct fault why;
};

static enum err sync_path(const char *path, int flags, struct fault *reterr)
{
    int fd = open(path, flags | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "open %s: %s", path, err_errno(errno));
    rc = fsync(fd);
    if (rc != 0)
        (void)fault_set(reterr, ERR_IO, errno, "fsync %s: %s", path, err_errno(errno));
    (void)close(fd);
    return rc == 0 ? ERR_OK : ERR_IO;
}

/* A directory that was just made must itself outlast a power cut. */
static enum err make_dir(const char *parent, const char *dir, struct fault *reterr)
{
    if (mkdir(dir, 0750) == 0)
        return sync_path(parent, O_RDONLY | O_DIRECTORY, reterr);
    if (errno == EEXIST)
        return ERR_OK;
    return fault_set(reterr, ERR_IO, errno, "mkdir %s: %s", dir, err_errno(errno));
}

static enum err move_in(const struct store *st, struct blob_item *it, struct fault *reterr)
{
    char dir[PATH_MAX], path[PATH_MAX];

    (void)snprintf(dir, sizeof dir, "%s/%.2s", st->dir, it->name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", st->dir, it->name) >= sizeof path)
        return fault_set(reterr, ERR_IO, ENAMETOOLONG, "path too long below %s", st->dir);
    if (make_dir(st->dir, dir, reterr) != ERR_OK)
        return reterr->err;
    /* Young, however long ago it was made: queue/blob_files.h. */
    (void)utimensat(AT_FDCWD, it->path, NULL, 0);
    if (chmod(it->path, 0640) != 0 || rename(it->path, path) != 0)
        return fault_set(reterr, ERR_IO, errno, "rename %s to %s: %s", it->path, path,
                         err_errno(errno));
    free(it->path);
    it->path = NULL;
    return sync_path(dir, O_RDONLY | O_DIRECTORY, reterr);
}

static enum err store_one(const struct store *st, struct blob_item *it, struct fault *reterr)
{
    char hex[HASH_HEX_SIZE];
    enum err e = ERR_OK;

    /* Whatever is wrong with a file of our own: a new attempt makes a new one. */
    if (hash_file(it->path, it->sha256, &it->bytes, reterr) != ERR_OK)
        e = ERR_IO;
    if (e == ERR_OK)
        e = sync_path(it->path, O_RDONLY, reterr);
    if (e == ERR_OK)
        e = FAILPOINT_ERR("worker.store");
    if (e != ERR_OK)
        return e;
    (void)hex_text(it->sha256, sizeof it->sha256, hex);
    (void)snprintf(it->name, sizeof it->name, "%.2s/%s.%s", hex, hex, it->ext);
    return move_in(st, it, reterr);
}

static void store_on_thread(uv_work_t *work)
{
    struct store *st = CONTAINER(work, struct store, work);

    for (size_t i = 0; i < st->n && st->err == ERR_OK; i++)
        st->err = store_one(st, &st->items[i], &st->why);
}

static void on_stored(uv_work_t *work, int status)
{
    struct store *st = CONTAINER(work, struct store, work);

    if (status == UV_ECANCELED)
        st->err = fault_set(&st->why, ERR_CANCELED, 0, "canceled");
    st->cb(st->arg, st->err, st->err == ERR_OK ? NULL : &st->why);
    free(st);
}

enum err blob_store(uv_loop_t *loop, const char *dir, struct blob_item *items, size_t n,
                    blob_stored_fn *cb, void *arg)
{
    struct store *st = calloc(1, sizeof *st);

    if (st == NULL)
        return ERR_NOMEM;
    *st = (struct store){.dir = dir, .items = items, .n = n, .cb = cb, .arg = arg};
    if (uv_queue_work(loop, &st->work, store_on_thread, on_stored) != 0) {
        free(st);
        return ERR_INTERNAL;
    }
    return ERR_OK;
}

bool blob_upload_path(const char *dir, const char *upload_id, char *dst, size_t cap)
{
    return (size_t)snprintf(dst, cap, "%s/uploads/%s", dir, upload_id) < cap;
}

void blob_items_discard(struct blob_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].path != NULL)
            (void)unlink(items[i].path);
        free(items[i].path);
        items[i].path = NULL;
    }
}
