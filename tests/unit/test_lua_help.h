/* The atomic moves in short, for tests that call them by hand. */
#ifndef TESTS_UNIT_TEST_LUA_HELP_H
#define TESTS_UNIT_TEST_LUA_HELP_H

#include "tests/unit/test_queue_help.h"

#include "shared/rand.h"

#define US   "host:1:aaaa"
#define THEM "other:1:bbbb"

/* --- the moves, in short --------------------------------------------------------------------- */

struct new_job {
    unsigned number;
    int above;       /* the normal priority: 2 critical, 1 high, -1 low */
    const char *due; /* NULL: now */
    bool skip_known;
    uint32_t before; /* attempts */
};

HELPER long long enqueue_item(const struct new_job *job, struct slice item)
{
    enum job_priority priority = (enum job_priority)(JOB_PRIORITY_NORMAL - job->above);
    struct uuid id = id_of(job->number);
    bool delayed = job->due != NULL;
    struct buf tail = {0}, member = {0};
    const struct slice k[] = {keys.key[QUEUE_KEY_STATE], keys.key[QUEUE_KEY_META],
                              keys.key[QUEUE_KEY_WAKE], keys.key[QUEUE_KEY_DELAYED],
                              keys.key[QUEUE_KEY_READY + priority]};
    struct slice args[8] = {job->skip_known ? SLICE_LIT("1") : SLICE_LIT("0"),
                            delayed ? SLICE_LIT("0") : SLICE_LIT("1"),
                            delayed ? SLICE_LIT("1") : SLICE_LIT("0")};
    size_t n = 3;
    redisReply *r;
    long long taken;

    state_encode_tail(&(struct state_value){.state = delayed ? JOB_SCHEDULED : JOB_QUEUED,
                                            .attempt = job->before,
                                            .excused = (uint16_t)job->before,
                                            .priority = priority,
                                            .type = SLICE_LIT("noop"),
                                            .due_ms = 1},
                      &tail);
    buf_addf(&member, "%d", (int)priority);
    buf_add_slice(&member, item);
    if (!delayed)
        args[n++] = SLICE_LIT("1");
    args[n++] = id_slice(&id);
    args[n++] = buf_slice(&tail);
    if (delayed)
        args[n++] = slice_str(job->due);
    args[n++] = delayed ? buf_slice(&member) : item;
    r = eval_raw(QUEUE_ENQUEUE, k, delayed ? 4 : 5, args, n);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s", r->str);
    taken = r->integer;
    freeReplyObject(r);
    buf_done(&tail);
    buf_done(&member);
    return taken;
}

HELPER long long enqueue(struct new_job job)
{
    struct uuid id = id_of(job.number);
    struct buf item = {0};
    long long taken;

    add_item(&item, &id, 0);
    taken = enqueue_item(&job, buf_slice(&item));
    buf_done(&item);
    return taken;
}
#define ENQUEUE(...) enqueue((struct new_job){__VA_ARGS__})

HELPER void enroll(const char *consumer)
{
    char identity[64];
    const char *boot = strrchr(consumer, ':');

    (void)snprintf(identity, sizeof identity, "%.*s", (int)(boot - consumer + 1), consumer);
    freeReplyObject(EVAL(QUEUE_REGISTER, NULL, slice_str(consumer), slice_str(identity),
                         SLICE_LIT("\x80"), keys.active_prefix, SLICE_LIT("128")));
}

HELPER redisReply *claim(const char *consumer, const char *n)
{
    return EVAL(QUEUE_CLAIM, consumer, slice_str(consumer), slice_str(n), keys.active_prefix);
}

/* Claims one and gives its number, or -1 for none. */
HELPER long long claim_number(const char *consumer)
{
    redisReply *r = claim(consumer, "1");
    long long n = -1;

    if (r->elements > 4) {
        const uint8_t *id = (const uint8_t *)bytes_at(r, 4).ptr;

        n = (long long)id[12] << 24 | id[13] << 16 | id[14] << 8 | id[15];
    }
    freeReplyObject(r);
    return n;
}

/* Gives the code for the one job; 0: settled. */
HELPER long long settle(const char *consumer, unsigned number, uint32_t attempt,
                        const char *kind, const char *delay)
{
    struct uuid id = id_of(number);
    char a[4];
    redisReply *r;
    long long code;

    state_put_u32(attempt, a);
    if (strcmp(kind, "done") == 0)
        r = EVAL(QUEUE_SETTLE, consumer, slice_str(consumer), SLICE_LIT("1"), id_slice(&id),
                 slice_of(a, 4));
    else
        r = EVAL(QUEUE_SETTLE, consumer, slice_str(consumer), SLICE_LIT("0"), id_slice(&id),
                 slice_of(a, 4), slice_str(kind), slice_str(delay), SLICE_LIT("\xd9\x04oops"));
    code = r->elements == 0 ? 0 : at(r, 1);
    freeReplyObject(r);
    return code;
}

HELPER long long reap(const char *lease)
{
    redisReply *r =
        EVAL(QUEUE_REAP, NULL, slice_str(lease), SLICE_LIT("128"), keys.active_prefix);
    long long given_back = 0;

    for (size_t i = 6; i < r->elements; i += 2)
        given_back += at(r, i);
    freeReplyObject(r);
    return given_back;
}

HELPER void make_due(void)
{
    redisReply *r = ask("ZRANGE mr:{q}:delayed 0 -1");

    for (size_t i = 0; i < r->elements; i++)
        RUN("ZADD mr:{q}:delayed 1 %b", r->element[i]->str, (size_t)r->element[i]->len);
    freeReplyObject(r);
}

/* Redis's clock cannot be set: a beat is made old instead. */
HELPER void silence(const char *consumer)
{
    RUN("ZADD mr:{q}:consumers XX 1000 %s", consumer);
}

HELPER long long tokens(void)
{
    return ask_number("LLEN mr:{q}:wake");
}

HELPER long long ready(const char *priority)
{
    return ask_number("LLEN mr:{q}:ready:%s", priority);
}

HELPER long long counter(const char *name)
{
    return ask_number("HGET mr:{q}:meta %s", name);
}

HELPER void show_progress(uint32_t attempt)
{
    struct uuid id = id_of(7);
    char a[4];

    state_put_u32(attempt, a);
    freeReplyObject(EVAL(QUEUE_PROGRESS, US, SLICE_LIT(US), id_slice(&id), slice_of(a, 4),
                         SLICE_LIT("\x2a"),
                         SLICE_LIT("\xd9\x03"
                                   "abc")));
}

#endif
