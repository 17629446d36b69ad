#include <openssl/evp.h>

#include "shared/hash.h"
#include "shared/redis_internal.h"

void redis_script_init(struct redis_script *s)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    must(EVP_Digest(s->source, s->len, md, &len, EVP_sha1(), NULL) == 1);
    must(2 * len + 1 == sizeof s->sha1);
    (void)hex_text(md, len, s->sha1);
}

static enum err send_load(struct redis *r, const struct redis_script *s, uint64_t deadline_ms)
{
    const struct slice words[] = {SLICE_LIT("SCRIPT"), SLICE_LIT("LOAD"),
                                  slice_of(s->source, s->len)};
    enum err e;

    if (r->loads > 0 && r->loading == s)
        return ERR_OK; /* calls in flight together are all refused; one load serves them */
    e = redis_send(r, &(struct resp_part){words, COUNT_OF(words)}, 1,
                   (struct redis_waiter){.kind = REDIS_KIND_LOAD, .deadline_ms = deadline_ms});
    if (e != ERR_OK)
        return e;
    log_debug(r->log, "redis.script_load", LOG_S("where", r->url.where),
              LOG_S("script", s->name));
    r->loads++;
    r->loading = s;
    return ERR_OK;
}

void redis_script_repeat(struct redis *r)
{
    const struct redis_waiter *first = redis_line_first(&r->line);
    enum err e = send_load(r, first->script, first->deadline_ms);
    struct redis_waiter w;

    if (e == ERR_OK)
        e = redis_send_again(r);
    w = redis_line_pop(&r->line);
    if (e != ERR_OK)
        w.cb(w.arg, e, NULL);
}

void redis_script_loaded(struct redis *r, redisReply **reply)
{
    (void)redis_line_pop(&r->line);
    r->loads--;
    freeReplyObject(r->load_refused);
    r->load_refused = NULL;
    if ((*reply)->type != REDIS_REPLY_ERROR)
        return;
    r->load_refused = *reply; /* the repeat behind it fails with this reason */
    *reply = NULL;
}
