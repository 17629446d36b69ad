#include "worker/source_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/failpoint.h"
#include "shared/http_url.h"

#define ACCEPT "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8,*/*;q=0.1"

struct source_fetch {
    struct http_client *http;
    struct http_transfer *transfer; /* of the hop under way */
    source_got_fn *cb;
    void *arg;
    char path[PATH_MAX];
    char url[HTTP_URL_MAX + 1];
    char at[SOURCE_AT_MAX + 1];
    int fd;
    struct hash *hash;
    struct source_got got;
    uint64_t max_bytes, end_ms; /* monotonic */
    uint32_t min_rate, stall_ms;
    unsigned redirects;
};

static http_answer_fn on_answer;
static http_sink_fn on_piece;

static bool is_secure(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void dispose(struct source_fetch *sf, bool keep_file)
{
    if (sf->fd >= 0) {
        (void)close(sf->fd);
        if (!keep_file)
            (void)unlink(sf->path);
    }
    hash_free(&sf->hash);
    free(sf);
}

/* why is of the URL, whatever the text below it says. */
static void end(struct source_fetch *sf, enum err e, const struct fault *why)
{
    source_got_fn *cb = sf->cb;
    void *arg = sf->arg;
    struct source_got got = sf->got;
    struct fault told = {.err = ERR_OK};

    if (e == ERR_OK)
        hash_end(sf->hash, got.sha256);
    else
        (void)fault_set(&told, e, why->native, "%s: %.170s", sf->at, why->text);
    dispose(sf, e == ERR_OK);
    cb(arg, e, &got, &told);
}

/* --- one hop ---------------------------------------------------------------------------------- */

static enum err ask(struct source_fetch *sf, struct fault *reterr)
{
    static const struct http_header headers[] = {{"Accept", ACCEPT}};
    uint64_t now_ms = clock_now_ms();

    if (now_ms >= sf->end_ms)
        return fault_set(reterr, ERR_TIMEOUT, 0, "its redirects took all of SOURCE_TIMEOUT");
    return http_client_send(
        sf->http,
        &(struct http_request){
            .method = "GET",
            .url = sf->url,
            .headers = headers,
            .n_headers = COUNT_OF(headers),
            .deadline_ms = (uint32_t)(sf->end_ms - now_ms),
            .min_rate = sf->min_rate,
            .stall_ms = sf->stall_ms,
            .sink = {.take = on_piece, .arg = sf, .max_bytes = sf->max_bytes}},
        on_answer, sf, &sf->transfer, reterr);
}

/* Short writes to a local disk, 16 KiB at most each: made on the loop. */
static enum err on_piece(void *arg, struct slice piece, struct fault *reterr)
{
    struct source_fetch *sf = arg;

    hash_add(sf->hash, piece.ptr, piece.len);
    sf->got.bytes += piece.len;
    while (piece.len > 0) {
        ssize_t n = write(sf->fd, piece.ptr, piece.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_set(reterr, ERR_IO, errno, "write: %s", err_errno(errno));
        piece = slice_of(piece.ptr + n, piece.len - (size_t)n);
    }
    FAILPOINT("worker.fetching");
    return ERR_OK;
}

/* --- what the server says --------------------------------------------------------------------- */

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool worth_a_retry(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static enum err refuse(struct source_fetch *sf, const struct http_answer *a,
                       struct fault *reterr)
{
    enum err e = a->status == 404 || a->status == 410 ? ERR_NOT_FOUND : ERR_REJECTED;

    if (worth_a_retry(a->status)) {
        e = ERR_BUSY;
        sf->got.retry_after_ms = a->retry_after_ms;
    }
    return fault_set(reterr, e, (int)a->status, "the server answered %ld", a->status);
}

static enum err turn(struct source_fetch *sf, const struct http_answer *a, struct fault *reterr)
{
    if (a->location == NULL)
        return fault_set(reterr, ERR_REJECTED, (int)a->status,
                         "the server answered %ld and named no place", a->status);
    if (sf->redirects == SOURCE_REDIRECTS_MAX)
        return fault_set(reterr, ERR_REJECTED, (int)a->status, "more than %d redirects",
                         SOURCE_REDIRECTS_MAX);
    if (is_secure(sf->url) && !is_secure(a->location))
        return fault_set(reterr, ERR_FORBIDDEN, (int)a->status,
                         "a redirect leads from https to http");
    if (!slice_to_cstr(slice_str(a->location), sf->url, sizeof sf->url))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "a redirect leads to a URL that is too long");
    sf->redirects++;
    return ask(sf, reterr);
}

static void on_answer(void *arg, enum err e, const struct http_answer *a,
                      const struct fault *why)
{
    struct source_fetch *sf = arg;
    struct fault own = *why;

    if (e == ERR_OK && is_redirect(a->status)) {
        e = turn(sf, a, &own);
        if (e == ERR_OK)
            return;
    } else if (e == ERR_OK && a->status != 200) {
        e = refuse(sf, a, &own);
    }
    end(sf, e, &own);
}

/* --- the start -------------------------------------------------------------------------------- */

static enum err prepare(struct source_fetch *sf, const struct source_order *order,
                        struct fault *reterr)
{
    (void)slice_to_cstr(slice_str(order->at), sf->at, sizeof sf->at);
    if (!slice_to_cstr(order->url, sf->url, sizeof sf->url) ||
        !slice_to_cstr(slice_str(order->path), sf->path, sizeof sf->path))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: too long", sf->at);
    sf->hash = hash_new();
    if (sf->hash == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a hash");
    sf->fd = open(sf->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (sf->fd < 0)
        return fault_set(reterr, ERR_IO, errno, "create %.120s: %s", sf->path,
                         err_errno(errno));
    return ERR_OK;
}

enum err source_fetch_start(const struct source_order *order, source_got_fn *cb, void *arg,
                            struct source_fetch **ret, struct fault *reterr)
{
    struct source_fetch *sf = calloc(1, sizeof *sf);
    enum err e;

    if (sf == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a transfer");
    sf->http = order->http;
    sf->cb = cb;
    sf->arg = arg;
    sf->fd = -1;
    sf->got.retry_after_ms = -1;
    sf->max_bytes = order->max_bytes;
    sf->min_rate = order->min_rate;
    sf->stall_ms = order->stall_ms;
    sf->end_ms = clock_now_ms() + order->timeout_ms;
    e = prepare(sf, order, reterr);
    if (e == ERR_OK)
        e = ask(sf, reterr);
    if (e != ERR_OK) {
        dispose(sf, false);
        return e;
    }
    *ret = sf;
    return ERR_OK;
}

void source_fetch_cancel(struct source_fetch *sf)
{
    http_client_cancel(sf->transfer);
}
