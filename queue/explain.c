#include "queue/explain.h"

#include <inttypes.h>

#include "queue/explain_reasons.h"
#include "queue/keys.h"
#include "queue/scripts.h"
#include "shared/clock.h"
#include "shared/json.h"

#define REPLY_FIELDS 18

struct look {
    struct redis *redis;
    struct uuid id;
    struct queue_keys keys;
    explain_fn *cb;
    void *arg;
};

static void look_end(struct look *l, enum err e, const struct explanation *what)
{
    l->cb(l->arg, e, e == ERR_OK ? what : NULL);
    free(l);
}

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer > 0 ? (uint64_t)r->integer : 0;
}

static struct slice text_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? slice_of(r->str, r->len) : slice_of("", 0);
}

/* A score: us, perhaps with a fraction. Gives ms, rounded up. */
static uint64_t ms_of(const redisReply *r)
{
    double us = r->type == REDIS_REPLY_STRING ? strtod(r->str, NULL) : 0;

    return us > 0 && us < 9e18 ? (uint64_t)(us / 1000) + 1 : 0;
}

/* The order of explain.lua. */
static bool read_facts(const redisReply *reply, struct explain_facts *ret)
{
    redisReply *const *f = reply->element;

    if (state_decode(text_of(f[0]), &ret->state) != ERR_OK)
        return false;
    ret->now_ms = number_of(f[1]);
    ret->paused = number_of(f[2]) > 0;
    limits_decode(text_of(f[3]), &ret->limits);
    ret->held = number_of(f[4]);
    ret->full_ms = ms_of(f[5]);
    ret->workers = number_of(f[6]);
    ret->slots = number_of(f[7]);
    ret->busy = number_of(f[8]);
    ret->place = (enum explain_place)number_of(f[9]);
    ret->ahead = number_of(f[10]);
    ret->exact = number_of(f[11]) > 0;
    ret->item = text_of(f[12]);
    ret->key = text_of(f[13]);
    ret->key_held = number_of(f[14]);
    ret->key_full_ms = ms_of(f[15]);
    ret->claims = number_of(f[16]);
    ret->claims_ms = number_of(f[17]);
    return true;
}

static void on_explained(void *arg, enum err e, const redisReply *reply)
{
    struct look *l = arg;
    struct explain_facts facts = {.now_ms = 0};
    struct explanation what = {.id = l->id};

    if (e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 0)
        e = ERR_NOT_FOUND; /* it ended meanwhile */
    else if (e == ERR_OK && (reply->type != REDIS_REPLY_ARRAY ||
                             reply->elements != REPLY_FIELDS || !read_facts(reply, &facts)))
        e = ERR_INTERNAL;
    if (e == ERR_OK) {
        (void)snprintf(what.queue, sizeof what.queue, "%s", l->keys.queue);
        explain_reasons(&facts, &what);
    }
    look_end(l, e, &what);
}

static void on_live(void *arg, enum err e, const struct live_job *job)
{
    struct look *l = arg;
    struct slice args[2] = {slice_of(l->id.bytes, UUID_LEN)};

    if (e == ERR_OK)
        e = keys_init(&l->keys, job->queue, NULL);
    args[1] = l->keys.active_prefix;
    if (e == ERR_OK)
        e = redis_call(l->redis,
                       &(struct redis_call){.script = queue_script(QUEUE_EXPLAIN),
                                            .n_keys = QUEUE_KEYS,
                                            .keys = l->keys.key,
                                            .n_args = COUNT_OF(args),
                                            .args = args},
                       on_explained, l);
    if (e != ERR_OK)
        look_end(l, e, NULL);
}

enum err explain_job(struct redis *r, const struct uuid *id, explain_fn *cb, void *arg)
{
    struct look *l = calloc(1, sizeof *l);
    enum err e;

    if (l == NULL)
        return ERR_NOMEM;
    *l = (struct look){.redis = r, .id = *id, .cb = cb, .arg = arg};
    e = inspect_job(r, id, on_live, l);
    if (e != ERR_OK)
        free(l);
    return e;
}

/* --- told ------------------------------------------------------------------------------------- */

static void add_time(const char *name, uint64_t ms, struct buf *out)
{
    char text[CLOCK_RFC3339_SIZE];

    if (ms > 0)
        buf_addf(out, ",\"%s\":\"%s\"", name, clock_rfc3339(ms, text));
}

static void add_fact(const struct explain_fact *f, struct buf *out)
{
    if (f->kind == EXPLAIN_TIME) {
        add_time(f->name, f->number, out);
        return;
    }
    buf_addf(out, ",\"%s\":", f->name);
    if (f->kind == EXPLAIN_TEXT)
        json_quote(f->text, out);
    else
        buf_addf(out, "%" PRIu64, f->number);
}

void explain_json(const struct explanation *e, struct buf *out)
{
    char id[UUID_TEXT_SIZE];

    buf_addf(out, "{\"id\":\"%s\",\"queue\":\"%s\",\"state\":\"%s\"", uuid_text(&e->id, id),
             e->queue, job_state_name(e->state));
    add_time("may_start_at", e->may_start_ms, out);
    add_time("expected_start_at", e->expected_ms, out);
    buf_add_str(out, ",\"reasons\":[");
    for (size_t i = 0; i < e->n_reasons; i++) {
        const struct explain_reason *r = &e->reasons[i];

        buf_addf(out, "%s{\"code\":\"%s\",\"text\":", i > 0 ? "," : "", r->code);
        json_quote(slice_str(r->text), out);
        for (size_t j = 0; j < r->n_facts; j++)
            add_fact(&r->facts[j], out);
        buf_add_str(out, "}");
    }
    buf_add_str(out, "]}");
}
