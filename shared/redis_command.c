#include "shared/redis_internal.h"

enum err redis_admit(const struct redis *r, size_t bytes)
{
    if (r->state != REDIS_UP)
        return ERR_UNREACHABLE;
    if (bytes > r->max_pending_bytes)
        return ERR_TOO_BIG;
    if (r->line.len >= r->max_pending || r->line.bytes > r->max_pending_bytes - bytes)
        return ERR_BUSY;
    return ERR_OK;
}

/* Where the next bytes to send go, once nothing can fail any more; NULL: no memory. */
static char *make_room(struct redis *r, const struct redis_waiter *w)
{
    struct buf *out = redis_link_out(&r->link);
    char *p = buf_reserve(out, w->bytes);

    out->failed = false; /* what it holds already is whole */
    return redis_line_reserve(&r->line, w->script != NULL ? w->bytes : 0) ? p : NULL;
}

/* The bytes are written to p already. */
static void put_in_line(struct redis *r, const char *p, struct redis_waiter w)
{
    char *keep = redis_line_push(&r->line, w);

    if (keep != NULL)
        memcpy(keep, p, w.bytes);
    buf_commit(redis_link_out(&r->link), w.bytes);
    redis_link_flush_later(&r->link);
}

enum err redis_send(struct redis *r, const struct resp_part *parts, size_t n_parts,
                    struct redis_waiter w)
{
    char *p;

    w.bytes = resp_size(parts, n_parts);
    p = make_room(r, &w);
    if (p == NULL)
        return ERR_NOMEM;
    resp_write(p, parts, n_parts);
    put_in_line(r, p, w);
    return ERR_OK;
}

enum err redis_send_again(struct redis *r)
{
    struct redis_waiter w = *redis_line_first(&r->line);
    char *p = make_room(r, &w);

    if (p == NULL)
        return ERR_NOMEM;
    memcpy(p, redis_line_kept(&r->line), w.bytes);
    w.repeated = true;
    put_in_line(r, p, w);
    return ERR_OK;
}

static enum err send_user(struct redis *r, const struct resp_part *parts, size_t n_parts,
                          struct redis_waiter w, uint32_t deadline_ms)
{
    enum err e = redis_admit(r, resp_size(parts, n_parts));

    if (e != ERR_OK)
        return e;
    w.kind = REDIS_KIND_USER;
    w.deadline_ms = redis_deadline(r, deadline_ms);
    return redis_send(r, parts, n_parts, w);
}

enum err redis_command(struct redis *r, const struct redis_command *cmd, redis_reply_fn *cb,
                       void *arg)
{
    must(cmd->argc > 0 && cb != NULL);
    return send_user(r, &(struct resp_part){cmd->argv, (size_t)cmd->argc}, 1,
                     (struct redis_waiter){.cb = cb, .arg = arg}, cmd->deadline_ms);
}

enum err redis_call(struct redis *r, const struct redis_call *call, redis_reply_fn *cb,
                    void *arg)
{
    char n_keys[RESP_NUMBER_SIZE];
    const struct slice head[] = {SLICE_LIT("EVALSHA"), slice_str(call->script->sha1),
                                 resp_number(call->n_keys, n_keys)};
    const struct resp_part parts[] = {
        {head, COUNT_OF(head)}, {call->keys, call->n_keys}, {call->args, call->n_args}};

    must(cb != NULL && call->script->sha1[0] != '\0'); /* redis_script_init() comes first */
    return send_user(r, parts, COUNT_OF(parts),
                     (struct redis_waiter){.cb = cb, .arg = arg, .script = call->script},
                     call->deadline_ms);
}

static enum err send_formatted(struct redis *r, const char *bytes, struct redis_waiter w)
{
    enum err e = redis_admit(r, w.bytes);
    char *p;

    if (e != ERR_OK)
        return e;
    w.deadline_ms = redis_deadline(r, 0);
    p = make_room(r, &w);
    if (p == NULL)
        return ERR_NOMEM;
    memcpy(p, bytes, w.bytes);
    put_in_line(r, p, w);
    return ERR_OK;
}

enum err redis_commandf(struct redis *r, redis_reply_fn *cb, void *arg, const char *fmt, ...)
{
    char *bytes = NULL;
    va_list ap;
    int len;
    enum err e;

    must(cb != NULL);
    va_start(ap, fmt);
    len = redisvFormatCommand(&bytes, fmt, ap);
    va_end(ap);
    if (len < 0)
        return len == -1 ? ERR_NOMEM : ERR_MALFORMED; /* as hiredis says: -2 is a bad format */
    e = send_formatted(
        r, bytes,
        (struct redis_waiter){
            .cb = cb, .arg = arg, .kind = REDIS_KIND_USER, .bytes = (size_t)len});
    redisFreeCommand(bytes);
    return e;
}
