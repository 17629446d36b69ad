/* POST /v1/uploads: raw bytes, streamed to disk, never whole in memory: 201 with id, bytes and sha256.
 *
 *     open (begin) --> write, write, ... (on_body, one write on a pool thread at a time) --> sync and name (on_end)
 *
 * The client is braked while more than BRAKE bytes wait for the disk. When it vanishes, or the disk
 * fails, the part is unlinked; when this process dies, the sweep finds the part unlocked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "api/upload_store.h"
#include "shared/failpoint.h"
#include "shared/hash.h"

#define BRAKE      ((size_t)128 * 1024)
#define WRITE_FROM ((size_t)32 * 1024) /* less is gathered first */
#define NAME_TRIES 3

struct upload {
    struct request *rq; /* NULL once the client is gone, or was answered early */
    struct api *api;
    uv_work_t work;
    struct hash *hash;
    struct buf waiting, writing; /* bytes for the next write; bytes of the one under way */
    int fd;
    uint64_t bytes, counted; /* counted: in api->bodies */
    bool busy;               /* a pool thread works for it */
    bool whole;              /* no more bytes will come */
    bool last;   /* the write under way is the last: a pool thread must not look at whole */
    bool braked; /* the client waits */
    enum err err;
    int native;
    uint8_t sha256[HASH_LEN];
    char id[UUID_TEXT_SIZE];
    char part[PATH_MAX], path[PATH_MAX];
};

/* What is held in memory for all clients together has a limit. */
static void count_memory(struct upload *u)
{
    uint64_t now = u->waiting.cap + u->writing.cap;

    u->api->bodies += now - u->counted;
    u->counted = now;
}

static void forget_memory(struct upload *u)
{
    if (u->counted > 0)
        u->api->bodies -= u->counted;
    u->counted = 0;
}

static void free_upload(struct upload *u)
{
    forget_memory(u);
    if (u->fd >= 0)
        (void)close(u->fd);
    if (u->part[0] != '\0')
        (void)unlink(u->part);
    hash_free(&u->hash);
    buf_done(&u->waiting);
    buf_done(&u->writing);
    free(u);
}

static void fail(struct upload *u, enum err e, int native)
{
    u->err = e;
    u->native = native;
}

static void reply_failed(struct request *rq, enum err e, int native)
{
    if (native == ENOSPC || native == EDQUOT)
        reply_problem(rq, 507, NULL, "the disk is full");
    else
        reply_unavailable(rq, "the upload cannot be written", e);
}

/* --- on the pool thread --------------------------------------------------------------------------- */

static void write_all(struct upload *u)
{
    size_t at = 0;

    while (at < u->writing.len && u->err == ERR_OK) {
        ssize_t n = write(u->fd, u->writing.data + at, u->writing.len - at);

        if (n < 0 && errno != EINTR)
            fail(u, ERR_IO, errno);
        at += n > 0 ? (size_t)n : 0;
    }
    hash_add(u->hash, buf_cstr(&u->writing), u->writing.len);
}

static void sync_dir(struct upload *u)
{
    char *slash = strrchr(u->part, '/');
    int fd;

    *slash = '\0';
    fd = open(u->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    if (fd < 0 || fsync(fd) != 0)
        fail(u, ERR_IO, errno);
    if (fd >= 0)
        (void)close(fd);
}

/* The name comes last: a file with its final name is whole and on disk. */
static void name_it(struct upload *u)
{
    hash_end(u->hash, u->sha256);
    FAILPOINT("api.upload_whole");
    if (fsync(u->fd) != 0 || rename(u->part, u->path) != 0) {
        fail(u, ERR_IO, errno);
        return;
    }
    sync_dir(u);
    u->part[0] = '\0';
}

static void work_on_thread(uv_work_t *work)
{
    struct upload *u = CONTAINER(work, struct upload, work);

    write_all(u);
    if (u->err == ERR_OK && u->last)
        name_it(u);
}

/* --- on the loop ------------------------------------------------------------------------------------ */

static void go_on(struct upload *u);

static void reply_created(struct upload *u)
{
    char hex[HASH_HEX_SIZE], body[256];
    int n =
        snprintf(body, sizeof body, "{\"id\":\"%s\",\"bytes\":%llu,\"sha256\":\"%s\"}", u->id,
                 (unsigned long long)u->bytes, hex_text(u->sha256, sizeof u->sha256, hex));

    reply_send(u->rq, &(struct reply){.status = 201,
                                      .content_type = "application/json",
                                      .body = slice_of(body, (size_t)n)});
}

/* Nothing more can go wrong or be waited for: answer if somebody listens, and clean up. */
static void finish(struct upload *u)
{
    if (u->rq != NULL && u->err == ERR_OK)
        reply_created(u);
    else if (u->rq != NULL)
        reply_failed(u->rq, u->err, u->native);
    free_upload(u);
}

static void on_worked(uv_work_t *work, int status)
{
    struct upload *u = CONTAINER(work, struct upload, work);
    bool named = u->part[0] == '\0';

    u->busy = false;
    if (status != 0)
        fail(u, ERR_CANCELED, 0);
    if (buf_failed(&u->waiting))
        fail(u, ERR_NOMEM, 0);
    buf_clear(&u->writing);
    if (u->rq == NULL || u->err != ERR_OK || named)
        finish(u);
    else
        go_on(u);
}

static void start_work(struct upload *u)
{
    struct buf empty = u->writing;

    u->writing = u->waiting;
    u->waiting = empty;
    buf_clear(&u->waiting);
    u->busy = true;
    u->last = u->whole;
    must(uv_queue_work(loop_uv(u->api->loop), &u->work, work_on_thread, on_worked) == 0);
}

static void go_on(struct upload *u)
{
    if (!u->busy && (u->waiting.len > 0 || u->whole))
        start_work(u);
    if (u->braked && u->waiting.len < BRAKE) {
        u->braked = false;
        request_resume(u->rq);
    }
}

/* The sweep of another process may find the new file before it is locked, and take it for an orphan. */
static bool lock_part(struct upload *u)
{
    struct stat st;

    return flock(u->fd, LOCK_EX | LOCK_NB) == 0 && fstat(u->fd, &st) == 0 && st.st_nlink > 0;
}

static enum err open_part(struct upload *u)
{
    const char *dir = u->api->opt->blob_dir;

    for (int i = 0; i < NAME_TRIES; i++) {
        struct uuid id = uuid_v7();

        (void)uuid_text(&id, u->id);
        if (!upload_part_path(dir, u->id, u->part, sizeof u->part) ||
            !upload_final_path(dir, u->id, u->path, sizeof u->path))
            return ERR_INTERNAL;
        u->fd = open(u->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        u->native = errno;
        if (u->fd >= 0 && lock_part(u))
            return ERR_OK;
        if (u->fd < 0)
            break;
        (void)close(u->fd);
        (void)unlink(u->part);
        u->fd = -1;
    }
    u->part[0] = '\0'; /* not ours */
    return ERR_IO;
}

static void begin(struct request *rq)
{
    struct upload *u = calloc(1, sizeof *u);

    if (u == NULL) {
        reply_problem(rq, 503, NULL, "no memory for the upload");
        return;
    }
    u->rq = rq;
    u->api = rq->api;
    u->fd = -1;
    u->hash = hash_new();
    fail(u, u->hash == NULL ? ERR_NOMEM : open_part(u), u->native);
    if (u->err != ERR_OK) {
        reply_failed(rq, u->err, u->native);
        free_upload(u);
        return;
    }
    rq->work = u;
}

static bool on_body(struct request *rq, struct slice piece)
{
    struct upload *u = rq->work;

    u->bytes += piece.len;
    buf_add_slice(&u->waiting, piece);
    if (!u->busy && u->waiting.len >= WRITE_FROM)
        start_work(u);
    count_memory(u);
    u->braked = u->waiting.len >= BRAKE;
    return !u->braked;
}

static void on_end(struct request *rq)
{
    struct upload *u = rq->work;

    u->whole = true;
    if (u->bytes == 0) {
        u->rq = NULL;
        reply_problem(rq, 400, NULL, "the upload is empty");
        free_upload(u);
        return;
    }
    if (!u->busy)
        start_work(u);
}

static void on_abort(struct request *rq)
{
    struct upload *u = rq->work;

    u->rq = NULL;
    if (u->busy)
        forget_memory(
            u); /* once the connection is gone, the API may be before the pool thread is done */
    else
        free_upload(u);
}

const struct endpoint endpoint_uploads_post = {
    .method = "POST",
    .pattern = "/v1/uploads",
    .body = BODY_STREAMED,
    .begin = begin,
    .on_body = on_body,
    .on_end = on_end,
    .on_abort = on_abort,
};
