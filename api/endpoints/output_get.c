/* GET /v1/jobs/{id}/outputs/{name}: the file itself, with ETag (its SHA-256) and Range. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/ledger.h"
#include "queue/spec.h"

static int open_blob(const char *dir, struct slice file, uint64_t *ret_bytes)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/" SLICE_FMT, dir, SLICE_ARG(file)) >=
        sizeof path)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return -1;
    }
    *ret_bytes = (uint64_t)st.st_size;
    return fd;
}

static void on_output(void *arg, enum err e, const struct ledger_output_row *o)
{
    struct request *rq = arg;
    enum image_format format;
    struct reply_file f = {.content_type = "application/octet-stream",
                           .cache_control = "private, max-age=31536000, immutable"};
    char etag[72];

    if (e == ERR_NOT_FOUND) {
        reply_problem(rq, 404, NULL, "there is no such output (yet)");
        return;
    }
    if (e != ERR_OK) {
        reply_unavailable(rq, "the record of jobs cannot be read", e);
        return;
    }
    f.fd = open_blob(rq->api->opt->blob_dir, o->file, &f.bytes);
    if (f.fd < 0) {
        log_error(&rq->api->log, "output.missing", LOG_SL("file", o->file));
        reply_problem(rq, 410, NULL, "the output is recorded but its file is gone");
        return;
    }
    (void)snprintf(etag, sizeof etag, "\"%s\"", o->sha256);
    f.etag = etag;
    if (image_format_parse(o->format, &format))
        f.content_type = image_format_mime(format);
    reply_file(rq, &f);
}

static void on_end(struct request *rq)
{
    char name[JOB_NAME_MAX + 1];
    struct uuid id;
    enum err e;

    if (!uuid_parse(rq->params[0], &id) || !slice_to_cstr(rq->params[1], name, sizeof name)) {
        reply_problem(rq, 404, NULL, "there is no such output");
        return;
    }
    e = pg_is_up(rq->api->pg) ? ledger_output(rq->api->pg, &id, name, on_output, rq)
                              : ERR_UNREACHABLE;
    if (e != ERR_OK)
        reply_unavailable(rq, "the record of jobs cannot be read", e);
}

const struct endpoint endpoint_output_get = {
    .method = "GET", .pattern = "/v1/jobs/{id}/outputs/{name}", .on_end = on_end};
