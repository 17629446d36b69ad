#include "api/idempotency.h"

#include <strings.h>

#include "api/api.h"
#include "api/reply.h"
#include "shared/failpoint.h"

#define SLACK_MS     1000 /* beyond the deadline of the enqueue */
#define LOCATION_MAX 64

static const char field[] = "idempotency-key";

/* --- the request -------------------------------------------------------------------------------- */

static size_t count_fields(const struct request *rq)
{
    size_t n = 0;

    for (size_t i = 0; i < rq->n_headers; i++)
        n += rq->headers[i].name.len == sizeof field - 1 &&
             strncasecmp(rq->headers[i].name.ptr, field, sizeof field - 1) == 0;
    return n;
}

static bool take_print(const struct request *rq, struct slice body, uint8_t ret[HASH_LEN])
{
    struct hash *h = hash_new();

    if (h == NULL)
        return false;
    hash_add(h, rq->method.ptr, rq->method.len);
    hash_add(h, " ", 1);
    hash_add(h, rq->target.ptr, rq->target.len);
    hash_add(h, "\n", 1);
    hash_add(h, body.ptr, body.len);
    hash_end(h, ret);
    hash_free(&h);
    return true;
}

bool idempotency_read(struct request *rq, struct slice body, struct idempotency *ret)
{
    size_t n = count_fields(rq);

    *ret = (struct idempotency){.used = n > 0};
    if (n == 0)
        return true;
    if (n > 1 || !idem_key(request_header(rq, field), &ret->idem)) {
        reply_problem(
            rq, 400, NULL,
            "Idempotency-Key must stand once, with 1 to %d printable ASCII characters",
            IDEM_KEY_MAX);
        return false;
    }
    if (!take_print(rq, body, ret->idem.print)) {
        reply_problem(rq, 503, NULL, "no memory for the request");
        return false;
    }
    return true;
}

/* --- begin -------------------------------------------------------------------------------------- */

struct begin {
    struct redis *redis;
    struct idempotency *i;
    idempotency_fn *cb;
    void *arg;
};

/* Kept is the location, a line feed, the JSON. */
static void reply_again(struct request *rq, const struct idem_told *told)
{
    const char *lf = memchr(told->body.ptr, '\n', told->body.len);
    struct reply r = {.status = told->status, .content_type = "application/json"};
    char location[LOCATION_MAX];
    size_t n = lf == NULL ? 0 : (size_t)(lf - told->body.ptr);

    r.headers[r.n_headers++] = (struct reply_header){"idempotency-replayed", "true"};
    if (n > 0 && slice_to_cstr(slice_of(told->body.ptr, n), location, sizeof location))
        r.headers[r.n_headers++] = (struct reply_header){"location", location};
    n += lf != NULL;
    r.body = slice_of(told->body.ptr + n, told->body.len - n);
    reply_send(rq, &r);
}

static void reply_busy(struct request *rq)
{
    static const char detail[] = "a request with this Idempotency-Key is under way";
    AUTO(buf_done) struct buf body = {0};
    struct reply r = {.status = 409, .content_type = "application/problem+json"};

    reply_problem_body(409, NULL, detail, &body);
    r.body = buf_slice(&body);
    r.headers[r.n_headers++] = (struct reply_header){"retry-after", "1"};
    reply_send(rq, &r);
}

/* Gives whether the request is to go on. */
static bool act(struct begin *b, const struct idem_told *told)
{
    struct request *rq = b->i->rq;

    switch (told->verdict) {
    case IDEM_BEGIN:
    case IDEM_RESUME:
        b->i->idem.id = told->id;
        b->i->idem.begun = told->begun;
        b->i->idem.resumed = told->verdict == IDEM_RESUME;
        FAILPOINT("api.idem_begun");
        if (rq == NULL)
            idem_undone(b->redis, &b->i->idem, true);
        return rq != NULL;
    case IDEM_ANSWERED:
        if (rq != NULL)
            reply_again(rq, told);
        break;
    case IDEM_BUSY:
        if (rq != NULL)
            reply_busy(rq);
        break;
    case IDEM_OTHER:
        if (rq != NULL)
            reply_problem(rq, 422, NULL,
                          "this Idempotency-Key has been used for another request");
        break;
    }
    return false;
}

static void on_begun(void *arg, enum err e, const struct idem_told *told)
{
    struct begin *b = arg;
    bool go_on = false;

    if (e == ERR_OK)
        go_on = act(b, told);
    else if (b->i->rq != NULL)
        reply_unavailable(b->i->rq, "the Idempotency-Key cannot be looked up", e);
    b->i->rq = NULL;
    b->cb(b->arg, go_on);
    free(b);
}

void idempotency_begin(struct request *rq, struct idempotency *i, const struct uuid *id,
                       idempotency_fn *cb, void *arg)
{
    const struct api_options *opt = rq->api->opt;
    const struct idem_times times = {opt->idempotency_ms, opt->redis_ms + SLACK_MS};
    struct begin *b = malloc(sizeof *b);
    enum err e = ERR_NOMEM;

    i->idem.id = *id;
    i->rq = rq;
    if (b != NULL) {
        *b = (struct begin){rq->api->redis, i, cb, arg};
        e = idem_begin(rq->api->redis, &i->idem, &times, on_begun, b);
    }
    if (e == ERR_OK)
        return;
    free(b);
    reply_unavailable(rq, "the queue cannot be reached", e);
    cb(arg, false);
}

void idempotency_forget(struct idempotency *i)
{
    i->rq = NULL;
}

/* --- the end ------------------------------------------------------------------------------------ */

void idempotency_done(const struct request *rq, const struct idempotency *i, unsigned status,
                      const char *location, struct slice body)
{
    AUTO(buf_done) struct buf kept = {0};

    if (!i->used)
        return;
    FAILPOINT("api.idem_enqueued");
    buf_add_str(&kept, location == NULL ? "" : location);
    buf_add_char(&kept, '\n');
    buf_add_slice(&kept, body);
    if (!buf_failed(&kept))
        idem_done(rq->api->redis, &i->idem, status, buf_slice(&kept));
    FAILPOINT("api.idem_done");
}

void idempotency_undone(const struct request *rq, const struct idempotency *i, bool refused)
{
    if (i->used)
        idem_undone(rq->api->redis, &i->idem, refused);
}
