#include "queue/idem.h"

#include <inttypes.h>

#include "queue/keys.h"
#include "queue/scripts.h"

#define NUMBER_SIZE 24

bool idem_key(struct slice key, struct idem *ret)
{
    if (key.len >= 2 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"')
        key = slice_of(key.ptr + 1, key.len - 2);
    if (key.len == 0 || key.len > IDEM_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < 0x20 || key.ptr[i] > 0x7e)
            return false;
    }
    hash_sha256(key.ptr, key.len, ret->key);
    return true;
}

static enum err call(struct redis *r, const struct idem *i, const struct slice args[5],
                     redis_reply_fn *cb, void *arg)
{
    char text[sizeof KEYS_IDEM + HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
    struct slice key;

    (void)snprintf(text, sizeof text, "%s%s", KEYS_IDEM, hex_text(i->key, HASH_LEN, hex));
    key = slice_str(text);
    return redis_call(r,
                      &(struct redis_call){.script = queue_script(QUEUE_IDEM),
                                           .n_keys = 1,
                                           .keys = &key,
                                           .n_args = 5,
                                           .args = args},
                      cb, arg);
}

static struct slice number(uint64_t n, char dst[NUMBER_SIZE])
{
    return slice_of(dst, (size_t)snprintf(dst, NUMBER_SIZE, "%" PRIu64, n));
}

/* --- begin -------------------------------------------------------------------------------------- */

struct begin {
    idem_fn *cb;
    void *arg;
};

static uint64_t number_at(const redisReply *r, size_t i)
{
    return i < r->elements && r->element[i]->type == REDIS_REPLY_INTEGER
               ? (uint64_t)r->element[i]->integer
               : 0;
}

static enum err take_told(const redisReply *r, struct idem_told *ret)
{
    static const size_t fields[] = {[IDEM_BEGIN] = 3,
                                    [IDEM_RESUME] = 3,
                                    [IDEM_ANSWERED] = 4,
                                    [IDEM_BUSY] = 2,
                                    [IDEM_OTHER] = 1};
    uint64_t verdict = r->type == REDIS_REPLY_ARRAY ? number_at(r, 0) : COUNT_OF(fields);

    if (verdict >= COUNT_OF(fields) || r->elements != fields[verdict])
        return ERR_INTERNAL;
    *ret = (struct idem_told){.verdict = (enum idem_verdict)verdict};
    if (r->elements > 2 && r->element[1]->len == UUID_LEN)
        memcpy(ret->id.bytes, r->element[1]->str, UUID_LEN);
    ret->begun = number_at(r, 2);
    ret->wait_ms = number_at(r, 1);
    if (ret->verdict != IDEM_ANSWERED)
        return ERR_OK;
    ret->status = (unsigned)number_at(r, 2);
    ret->body = slice_of(r->element[3]->str, r->element[3]->len);
    return ERR_OK;
}

static void on_begun(void *arg, enum err e, const redisReply *reply)
{
    struct begin *b = arg;
    struct idem_told told;

    if (e == ERR_OK)
        e = take_told(reply, &told);
    b->cb(b->arg, e, e == ERR_OK ? &told : NULL);
    free(b);
}

enum err idem_begin(struct redis *r, const struct idem *i, const struct idem_times *t,
                    idem_fn *cb, void *arg)
{
    struct begin *b = malloc(sizeof *b);
    char keep[NUMBER_SIZE], takeover[NUMBER_SIZE];
    const struct slice args[] = {SLICE_LIT("begin"), slice_of(i->print, HASH_LEN),
                                 slice_of(i->id.bytes, UUID_LEN), number(t->keep_ms, keep),
                                 number(t->takeover_ms, takeover)};
    enum err e;

    if (b == NULL)
        return ERR_NOMEM;
    *b = (struct begin){cb, arg};
    e = call(r, i, args, on_begun, b);
    if (e != ERR_OK)
        free(b);
    return e;
}

/* --- the end ------------------------------------------------------------------------------------ */

static void on_ended(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply;
}

static void end(struct redis *r, const struct idem *i, const struct slice what[3])
{
    const struct slice args[] = {what[0], slice_of(i->print, HASH_LEN),
                                 slice_of(i->id.bytes, UUID_LEN), what[1], what[2]};
    enum err e = call(r, i, args, on_ended, NULL);

    (void)e;
}

void idem_done(struct redis *r, const struct idem *i, unsigned status, struct slice body)
{
    char text[NUMBER_SIZE];

    end(r, i, (const struct slice[]){SLICE_LIT("done"), number(status, text), body});
}

void idem_undone(struct redis *r, const struct idem *i, bool refused)
{
    char text[NUMBER_SIZE];

    end(r, i,
        (const struct slice[]){refused && !i->resumed ? SLICE_LIT("drop") : SLICE_LIT("open"),
                               number(i->begun, text), SLICE_LIT("")});
}
