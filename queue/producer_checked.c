#include "queue/producer_internal.h"

#include <inttypes.h>

#include "queue/scripts.h"
#include "shared/clock.h"

#define CAPS_ASK_MS    (CAPS_FRESH_MS / 2)
#define VERDICT_FIELDS 5
#define AGAIN          16
#define RATE_SMOOTH    0.3 /* how much of the rate of drain is the newest look */
#define NO_NUMBER      SLICE_LIT("0")

/* --- what a job asks for ------------------------------------------------------------------------ */

enum err producer_check_new(const struct producer_job *job, struct entry_check **ret)
{
    struct slice unique = slice_str(job->unique);
    struct entry_check *c;

    *ret = NULL;
    if (unique.len == 0 && job->once_ms == 0)
        return ERR_OK;
    if (unique.len > JOB_KEY_MAX || job->match.len > PRODUCER_MATCH_MAX)
        return ERR_TOO_BIG;
    c = malloc(sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->policy = job->unique_policy;
    c->unique_len = unique.len;
    c->match_len = job->match.len;
    if (unique.len > 0)
        memcpy(c->unique, unique.ptr, unique.len);
    if (job->match.len > 0)
        memcpy(c->match, job->match.ptr, job->match.len);
    (void)snprintf(c->window, sizeof c->window, "%" PRIu64, job->unique_window_ms);
    (void)snprintf(c->once, sizeof c->once, "%" PRIu64, job->once_ms);
    *ret = c;
    return ERR_OK;
}

/* --- caps, looked up while a queue is used ------------------------------------------------------ */

static uint64_t number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING ? strtoull(r->str, NULL, 10) : 0;
}

static void take_rate(struct lane *lane, uint64_t settled)
{
    uint64_t ms = lane->asked_ms - lane->settled_ms;
    double now;

    if (lane->settled_ms != 0 && ms > 0 && settled >= lane->settled) {
        now = (double)(settled - lane->settled) * 1000 / (double)ms;
        lane->per_second = lane->per_second <= 0
                               ? now
                               : lane->per_second * (1 - RATE_SMOOTH) + now * RATE_SMOOTH;
    }
    lane->settled = settled;
    lane->settled_ms = lane->asked_ms;
}

struct question {
    struct producer *producer;
    struct lane *lane;
};

static void on_caps(void *arg, enum err e, const redisReply *reply)
{
    struct question *q = arg;
    struct lane *lane = q->lane;
    struct producer *p = producer_of(q->producer);

    free(q);
    lane->asking = false;
    lane->busy--;
    p->asking--;
    if (e == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == CAPS_KINDS + 1) {
        lane->capped = false;
        for (size_t i = 0; i < CAPS_KINDS; i++)
            lane->capped |= reply->element[i]->type != REDIS_REPLY_NIL;
        lane->known_ms = lane->asked_ms;
        take_rate(lane, number_of(reply->element[CAPS_KINDS]));
        lane->refused = 0;
    }
    producer_close_if_done(p);
}

/* Without an answer the lane counts as capped, which is right, and only slower. */
static void ask_caps(struct producer *p, struct lane *lane, uint64_t now_ms)
{
    const struct slice words[] = {SLICE_LIT("HMGET"),      lane->keys.key[QUEUE_KEY_META],
                                  SLICE_LIT("cap_jobs"),   SLICE_LIT("cap_bytes"),
                                  SLICE_LIT("cap_age_ms"), SLICE_LIT("settled")};
    struct question *q = malloc(sizeof *q);

    if (q == NULL)
        return;
    *q = (struct question){p, lane};
    if (redis_command(p->redis, &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                      on_caps, q) != ERR_OK) {
        free(q);
        return;
    }
    lane->asking = true;
    lane->asked_ms = now_ms;
    lane->busy++;
    p->asking++;
}

bool producer_must_check(struct producer *p, struct lane *lane, const struct entry *first)
{
    bool must_check = false;

    if (p->caps) {
        uint64_t now_ms = clock_now_ms();

        if (!lane->asking && (lane->known_ms == 0 || now_ms >= lane->asked_ms + CAPS_ASK_MS))
            ask_caps(p, lane, now_ms);
        must_check =
            lane->capped || lane->known_ms == 0 || now_ms >= lane->known_ms + CAPS_FRESH_MS;
    }
    for (; first != NULL && !must_check; first = first->next)
        must_check = first->check != NULL;
    return must_check;
}

/* --- the call ----------------------------------------------------------------------------------- */

static const char *const digits[JOB_PRIORITIES] = {"0", "1", "2", "3"};
static const char *const policies[] = {
    [UNIQUE_REJECT] = "reject", [UNIQUE_KEEP] = "keep", [UNIQUE_REPLACE] = "replace"};

/* As queue/lua/enqueue_checked.lua takes it. */
static size_t build(const struct producer *p, const struct entry *first, struct slice *args)
{
    size_t n = 0;

    args[n++] = p->caps ? SLICE_LIT("1") : SLICE_LIT("0");
    args[n++] = p->skip_known ? SLICE_LIT("1") : SLICE_LIT("0");
    for (const struct entry *e = first; e != NULL; e = e->next) {
        const struct entry_check *c = e->check;

        args[n++] = slice_of(e->id.bytes, UUID_LEN);
        args[n++] = producer_view(e, 0, e->tail_len);
        args[n++] = slice_str(digits[e->priority]);
        args[n++] = e->delayed ? slice_str(e->due) : NO_NUMBER;
        args[n++] = producer_view(e, e->tail_len + 1, e->item_len);
        args[n++] = c == NULL ? slice_of("", 0) : slice_of(c->unique, c->unique_len);
        args[n++] = c == NULL ? NO_NUMBER : slice_str(c->window);
        args[n++] = slice_str(policies[c == NULL ? UNIQUE_REJECT : c->policy]);
        args[n++] = c == NULL ? NO_NUMBER : slice_str(c->once);
        args[n++] = c == NULL ? slice_of("", 0) : slice_of(c->match, c->match_len);
    }
    return n;
}

static double jobs_over(const struct producer_verdict *v, const struct lane *lane, size_t kind,
                        uint64_t waiting)
{
    double has = (double)v->has, may = (double)v->may, refused = (double)lane->refused;

    if (kind == 0)
        return has - may + 1 + refused;
    return (has > may ? (double)waiting * (has - may) / has : 0) + 1 + refused;
}

static void take_full(struct producer_verdict *v, struct lane *lane,
                      const redisReply *const *field)
{
    size_t kind = 0;

    while (kind + 1 < CAPS_KINDS && strcmp(caps_names[kind], field[1]->str) != 0)
        kind++;
    v->cap = caps_names[kind];
    v->has = (uint64_t)field[2]->integer;
    v->may = (uint64_t)field[3]->integer;
    v->wait_s =
        caps_wait_s(jobs_over(v, lane, kind, (uint64_t)field[4]->integer), lane->per_second);
    lane->refused++;
}

static enum err take_verdict(struct lane *lane, const redisReply *const *field,
                             struct producer_verdict *ret)
{
    static const enum err errs[] = {
        [PRODUCER_TAKEN] = ERR_OK,     [PRODUCER_KEPT] = ERR_OK,
        [PRODUCER_REPLACED] = ERR_OK,  [PRODUCER_HELD] = ERR_EXISTS,
        [PRODUCER_FULL] = ERR_LIMITED, [PRODUCER_OTHER] = ERR_REJECTED};
    long long code = field[0]->type == REDIS_REPLY_INTEGER ? field[0]->integer : -1;
    const redisReply *who = field[1];

    *ret = (struct producer_verdict){.again = (code & AGAIN) != 0};
    code &= ~(long long)AGAIN;
    if (code < 0 || code >= (long long)COUNT_OF(errs) || who->type != REDIS_REPLY_STRING)
        return ERR_INTERNAL;
    ret->code = (enum producer_code)code;
    if (ret->code == PRODUCER_FULL)
        take_full(ret, lane, field);
    else if (who->len == UUID_LEN)
        memcpy(ret->id.bytes, who->str, UUID_LEN);
    return errs[code];
}

static void explain(const struct producer_verdict *v, enum err e, struct fault *why)
{
    char id[UUID_TEXT_SIZE];

    if (e == ERR_LIMITED)
        (void)fault_set(why, e, 0,
                        "the queue's cap on %s is reached: it has %" PRIu64 " of %" PRIu64,
                        v->cap, v->has, v->may);
    else if (e == ERR_EXISTS)
        (void)fault_set(why, e, 0, "the unique key is held by job %s", uuid_text(&v->id, id));
    else if (e == ERR_REJECTED)
        (void)fault_set(why, e, 0, "this has been used for another job");
    else
        (void)fault_set(why, e, 0, "Redis: enqueue_checked gave no verdict");
}

static void end_judged(struct entry *first, const redisReply *reply)
{
    const redisReply *const *field = (const redisReply *const *)reply->element;

    for (; first != NULL; field += VERDICT_FIELDS) {
        struct entry *next = first->next;
        struct producer_verdict v;
        struct fault why = {.err = ERR_OK};
        enum err e = take_verdict(first->lane, field, &v);

        if (e != ERR_OK)
            explain(&v, e, &why);
        producer_end_entry(first, e, e == ERR_INTERNAL ? NULL : &v, &why);
        first = next;
    }
}

static size_t length(const struct entry *first)
{
    size_t n = 0;

    for (; first != NULL; first = first->next)
        n++;
    return n;
}

static void on_judged(void *arg, enum err e, const redisReply *reply)
{
    struct entry *first = arg;
    struct producer *p = producer_of(first->producer);
    struct lane *lane = first->lane;
    struct fault why = {.err = ERR_OK};

    if (e == ERR_OK &&
        (reply->type != REDIS_REPLY_ARRAY || reply->elements != VERDICT_FIELDS * length(first)))
        e = fault_set(&why, ERR_INTERNAL, 0, "Redis: enqueue_checked gave no verdicts");
    else if (e != ERR_OK && reply != NULL)
        (void)fault_set(&why, e, 0, "Redis: %s", reply->str);
    else if (e != ERR_OK)
        (void)fault_set(&why, e, 0, "Redis: %s; it may have taken the job", err_text(e));
    if (e == ERR_OK)
        end_judged(first, reply);
    lane->busy--;
    if (e == ERR_OK)
        producer_close_if_done(p);
    else
        producer_end_call(first, e, &why);
}

void producer_send_checked(struct producer *p, struct lane *lane, struct entry *first)
{
    struct fault why;
    size_t n = build(p, first, p->args);
    enum err e = redis_call(p->redis,
                            &(struct redis_call){.script = queue_script(QUEUE_ENQUEUE_CHECKED),
                                                 .n_keys = QUEUE_KEYS,
                                                 .keys = lane->keys.key,
                                                 .n_args = n,
                                                 .args = p->args,
                                                 .deadline_ms = p->deadline_ms},
                            on_judged, first);

    if (e == ERR_OK) {
        lane->busy++;
        return;
    }
    (void)fault_set(&why, e, 0, "not sent to Redis: %s", err_text(e));
    producer_end_call(first, e, &why);
}
