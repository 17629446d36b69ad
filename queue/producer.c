#include "queue/producer_internal.h"

#include <inttypes.h>

#include "queue/scripts.h"
#include "queue/state_codec.h"
#include "shared/clock.h"

#define MAX_BATCH         64
#define BATCH_LIMIT       1000 /* what the script's unpack() bears, with room */
#define CALL_BYTES        ((size_t)1 << 20)
#define ARGS_FIXED        (3 + JOB_PRIORITIES)
#define ARGS_PER_JOB      10 /* of the checked call; the plain one takes 4 */
#define MAX_PENDING       20000
#define MAX_PENDING_BYTES ((size_t)64 << 20)
#define IDLE_LANES        64
#define ANNOUNCE_MS       60000
#define DEADLINE_MS       5000

struct producer *producer_of(void *p)
{
    struct producer *producer = p;

    must(producer != NULL && producer->magic == PRODUCER_MAGIC);
    return producer;
}

/* --- closing --------------------------------------------------------------------------------- */

static void on_idle_closed(uv_handle_t *h)
{
    struct producer *p = producer_of(h->data);
    producer_closed_fn *on_closed = p->on_closed;
    void *arg = p->closed_arg;

    while (p->lanes != NULL) {
        struct lane *lane = p->lanes;

        p->lanes = lane->next;
        free(lane);
    }
    buf_done(&p->scratch);
    free(p->args);
    p->magic = 0;
    free(p);
    if (on_closed != NULL)
        on_closed(arg);
}

void producer_close_if_done(struct producer *p)
{
    if (p->closing && p->pending == 0 && p->asking == 0 && !p->flushing &&
        !uv_is_closing((uv_handle_t *)&p->idle))
        uv_close((uv_handle_t *)&p->idle, on_idle_closed);
}

void producer_close(struct producer **p, producer_closed_fn *on_closed, void *arg)
{
    struct producer *producer = producer_of(*p);

    *p = NULL;
    producer->closing = true;
    producer->on_closed = on_closed;
    producer->closed_arg = arg;
    producer_close_if_done(producer);
}

/* --- sending --------------------------------------------------------------------------------- */

void producer_end_entry(struct entry *entry, enum err e, const struct producer_verdict *v,
                        const struct fault *why)
{
    struct producer *p = producer_of(entry->producer);
    const struct producer_verdict taken = {.code = PRODUCER_TAKEN, .id = entry->id};

    p->pending--;
    p->pending_bytes -= entry->item_len;
    if (entry->cb != NULL)
        entry->cb(entry->arg, e, e == ERR_OK ? NULL : why);
    else
        entry->on_verdict(entry->arg, e, v == NULL && e == ERR_OK ? &taken : v,
                          e == ERR_OK ? NULL : why);
    free(entry->check);
    free(entry);
}

void producer_end_call(struct entry *first, enum err e, const struct fault *why)
{
    struct producer *p = producer_of(first->producer);

    while (first != NULL) {
        struct entry *next = first->next;

        producer_end_entry(first, e, NULL, why);
        first = next;
    }
    producer_close_if_done(p);
}

static void on_enqueued(void *arg, enum err e, const redisReply *reply)
{
    struct fault why = {.err = ERR_OK};

    if (e == ERR_OK && reply->type != REDIS_REPLY_INTEGER)
        e = fault_set(&why, ERR_INTERNAL, 0, "Redis: enqueue gave no number");
    else if (e != ERR_OK && reply != NULL)
        (void)fault_set(&why, e, 0, "Redis: %s", reply->str);
    else if (e != ERR_OK)
        (void)fault_set(&why, e, 0, "Redis: %s; it may have taken the job", err_text(e));
    producer_end_call(arg, e, &why);
}

struct slice producer_view(const struct entry *entry, size_t at, size_t len)
{
    return slice_of(entry->bytes + at, len);
}

struct call_builder {
    struct slice keys[QUEUE_KEYS], *args;
    size_t n_keys, n_args;
    char numbers[2 + JOB_PRIORITIES][DUE_SIZE];
    size_t n_numbers;
};

static void add_arg(struct call_builder *c, struct slice s)
{
    c->args[c->n_args++] = s;
}

static void add_number(struct call_builder *c, size_t n)
{
    char *dst = c->numbers[c->n_numbers++];

    (void)snprintf(dst, DUE_SIZE, "%zu", n);
    add_arg(c, slice_str(dst));
}

/* Ready jobs by priority, then the delayed ones, each in the order of arrival. */
#define GROUPS (JOB_PRIORITIES + 1)
static unsigned group_of(const struct entry *entry)
{
    return entry->delayed ? JOB_PRIORITIES : (unsigned)entry->priority;
}

static void add_states(struct call_builder *c, const struct entry *entries, unsigned group)
{
    for (const struct entry *e = entries; e != NULL; e = e->next) {
        if (group_of(e) != group)
            continue;
        add_arg(c, slice_of(e->id.bytes, UUID_LEN));
        add_arg(c, producer_view(e, 0, e->tail_len));
    }
}

static void add_items(struct call_builder *c, const struct entry *entries, unsigned group)
{
    for (const struct entry *e = entries; e != NULL; e = e->next) {
        if (group_of(e) != group)
            continue;
        if (e->delayed)
            add_arg(c, slice_str(e->due));
        add_arg(c, producer_view(e, e->tail_len + (e->delayed ? 0 : 1),
                                 e->item_len + (e->delayed ? 1 : 0)));
    }
}

/* As queue/lua/enqueue.lua takes it. */
static void build_call(struct call_builder *c, const struct lane *lane,
                       const struct entry *entries, bool skip_known)
{
    size_t n[GROUPS] = {0}, total = 0;

    for (const struct entry *e = entries; e != NULL; e = e->next, total++)
        n[group_of(e)]++;
    for (; c->n_keys < QUEUE_KEY_CONSUMERS; c->n_keys++)
        c->keys[c->n_keys] = lane->keys.key[c->n_keys];
    add_arg(c, skip_known ? SLICE_LIT("1") : SLICE_LIT("0"));
    add_number(c, total - n[JOB_PRIORITIES]);
    add_number(c, n[JOB_PRIORITIES]);
    for (unsigned g = 0; g < JOB_PRIORITIES; g++) {
        if (n[g] == 0)
            continue;
        c->keys[c->n_keys++] = lane->keys.key[QUEUE_KEY_READY + g];
        add_number(c, n[g]);
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        if (n[g] > 0)
            add_states(c, entries, g);
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        if (n[g] > 0)
            add_items(c, entries, g);
    }
}

static void send_call(struct producer *p, const struct lane *lane, struct entry *first)
{
    struct call_builder c = {.args = p->args};
    struct fault why;
    enum err e;

    build_call(&c, lane, first, p->skip_known);
    e = redis_call(p->redis,
                   &(struct redis_call){
                       .script = queue_script(p->over_limit ? QUEUE_FOLLOW : QUEUE_ENQUEUE),
                       .n_keys = c.n_keys,
                       .keys = c.keys,
                       .n_args = c.n_args,
                       .args = c.args,
                       .deadline_ms = p->deadline_ms},
                   on_enqueued, first);
    if (e == ERR_OK)
        return;
    (void)fault_set(&why, e, 0, "not sent to Redis: %s", err_text(e));
    producer_end_call(first, e, &why);
}

/* Cuts the first call's worth of jobs off the lane. */
static struct entry *take_call(struct lane *lane, size_t max_batch)
{
    struct entry *first = lane->first, **end = &lane->first;
    size_t n = 0, bytes = 0;

    while (*end != NULL && n < max_batch &&
           (n == 0 || bytes + (*end)->item_len <= CALL_BYTES)) {
        bytes += (*end)->item_len;
        n++;
        end = &(*end)->next;
    }
    lane->first = *end;
    if (lane->first == NULL)
        lane->last = &lane->first;
    lane->n -= n;
    *end = NULL;
    return first;
}

static void on_announced(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply; /* it is tried again every minute */
}

/* The set of known queues is in another hash slot than the queue, so no script reaches it. */
static void announce(struct producer *p, struct lane *lane)
{
    const struct slice words[] = {SLICE_LIT("SADD"), SLICE_LIT(KEYS_QUEUES),
                                  slice_str(lane->keys.queue)};
    uint64_t now_ms = clock_now_ms();

    if (now_ms < lane->announce_ms)
        return;
    if (redis_command(p->redis, &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                      on_announced, NULL) == ERR_OK)
        lane->announce_ms = now_ms + ANNOUNCE_MS;
}

/* Callbacks may enqueue more; that leaves in the next turn, so this ends. */
static void on_idle(uv_idle_t *h)
{
    struct producer *p = producer_of(h->data);

    (void)uv_idle_stop(h);
    p->flushing = true;
    for (struct lane *lane = p->lanes; lane != NULL; lane = lane->next) {
        size_t n = lane->n;

        if (n > 0)
            announce(p, lane);
        while (n > 0) {
            size_t before = lane->n;
            struct entry *first = take_call(lane, p->max_batch);

            n -= before - lane->n < n ? before - lane->n : n;
            if (producer_must_check(p, lane, first))
                producer_send_checked(p, lane, first);
            else
                send_call(p, lane, first);
        }
    }
    p->flushing = false;
    producer_close_if_done(p);
}

/* --- taking ---------------------------------------------------------------------------------- */

/* Names come from outside: those that lie idle do not pile up. */
static void drop_idle_lanes(struct producer *p)
{
    struct lane **at = &p->lanes;

    while (*at != NULL) {
        struct lane *lane = *at;

        if (lane->n > 0 || lane->busy > 0) {
            at = &lane->next;
            continue;
        }
        *at = lane->next;
        free(lane);
        p->n_lanes--;
    }
}

static enum err find_lane(struct producer *p, const char *queue, struct lane **ret)
{
    struct lane *lane = p->lanes;
    enum err e;

    while (lane != NULL && strcmp(lane->keys.queue, queue) != 0)
        lane = lane->next;
    if (lane != NULL) {
        *ret = lane;
        return ERR_OK;
    }
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return ERR_NOMEM;
    e = keys_init(&lane->keys, queue, NULL);
    if (e != ERR_OK) {
        free(lane);
        return e;
    }
    if (p->n_lanes >= IDLE_LANES && !p->flushing)
        drop_idle_lanes(p);
    lane->last = &lane->first;
    lane->next = p->lanes;
    p->lanes = lane;
    p->n_lanes++;
    *ret = lane;
    return ERR_OK;
}

static enum err admit(const struct producer *p, const struct producer_job *job)
{
    if (!job_name_is_valid(slice_str(job->type)))
        return ERR_MALFORMED;
    if (job->item.len > JOB_ITEM_MAX)
        return ERR_TOO_BIG;
    if (!redis_is_up(p->redis))
        return ERR_UNREACHABLE;
    if (p->pending >= p->max_pending || p->pending_bytes + job->item.len > p->max_pending_bytes)
        return ERR_BUSY;
    return ERR_OK;
}

static void encode_tail(struct producer *p, const struct producer_job *job, bool delayed)
{
    uint32_t excused = job->attempts_excused;

    buf_clear(&p->scratch);
    state_encode_tail(
        &(struct state_value){
            .state = delayed ? JOB_SCHEDULED : JOB_QUEUED,
            .attempt = job->attempts_before,
            .excused = (uint16_t)(excused < UINT16_MAX ? excused : UINT16_MAX),
            .priority = job->priority,
            .type = slice_str(job->type),
            .due_ms = job->due_ms,
        },
        &p->scratch);
}

static struct entry *entry_new(struct producer *p, const struct producer_job *job)
{
    bool delayed = job->due_ms > clock_wall_ms();
    struct entry *e;

    encode_tail(p, job, delayed);
    if (buf_failed(&p->scratch))
        return NULL;
    e = malloc(sizeof *e + p->scratch.len + 1 + job->item.len);
    if (e == NULL)
        return NULL;
    *e = (struct entry){.producer = p,
                        .id = job->id,
                        .priority = job->priority,
                        .delayed = delayed,
                        .tail_len = p->scratch.len,
                        .item_len = job->item.len};
    if (delayed)
        (void)snprintf(e->due, sizeof e->due, "%" PRIu64, job->due_ms);
    memcpy(e->bytes, p->scratch.data, e->tail_len);
    e->bytes[e->tail_len] = (char)('0' + job->priority);
    memcpy(e->bytes + e->tail_len + 1, job->item.ptr, job->item.len);
    return e;
}

static enum err take(struct producer *p, const struct producer_job *job, struct entry **ret)
{
    struct lane *lane;
    struct entry *entry;
    enum err e = admit(producer_of(p), job);

    must(!p->closing);
    if (e == ERR_OK)
        e = find_lane(p, job->queue, &lane);
    if (e != ERR_OK)
        return e;
    entry = entry_new(p, job);
    if (entry == NULL)
        return ERR_NOMEM;
    e = producer_check_new(job, &entry->check);
    if (e != ERR_OK) {
        free(entry);
        return e;
    }
    entry->lane = lane;
    *lane->last = entry;
    lane->last = &entry->next;
    lane->n++;
    p->pending++;
    p->pending_bytes += entry->item_len;
    (void)uv_idle_start(&p->idle, on_idle);
    *ret = entry;
    return ERR_OK;
}

enum err producer_enqueue(struct producer *p, const struct producer_job *job, producer_fn *cb,
                          void *arg)
{
    struct entry *entry;
    enum err e = take(p, job, &entry);

    if (e != ERR_OK)
        return e;
    entry->cb = cb;
    entry->arg = arg;
    return ERR_OK;
}

enum err producer_submit(struct producer *p, const struct producer_job *job,
                         producer_verdict_fn *cb, void *arg)
{
    struct entry *entry;
    enum err e = take(p, job, &entry);

    if (e != ERR_OK)
        return e;
    entry->on_verdict = cb;
    entry->arg = arg;
    return ERR_OK;
}

static size_t or_default(size_t n, size_t def)
{
    return n == 0 ? def : n;
}

enum err producer_new(uv_loop_t *loop, struct redis *redis, const struct producer_options *opt,
                      struct producer **ret, struct fault *reterr)
{
    struct producer *p = calloc(1, sizeof *p);

    if (p == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "producer: out of memory");
    p->magic = PRODUCER_MAGIC;
    p->redis = redis;
    p->max_batch = or_default(opt->max_batch, MAX_BATCH);
    if (p->max_batch > BATCH_LIMIT)
        p->max_batch = BATCH_LIMIT;
    p->max_pending = or_default(opt->max_pending, MAX_PENDING);
    p->max_pending_bytes = or_default(opt->max_pending_bytes, MAX_PENDING_BYTES);
    p->deadline_ms = opt->deadline_ms == 0 ? DEADLINE_MS : opt->deadline_ms;
    p->skip_known = opt->skip_known;
    p->over_limit = opt->over_limit;
    p->caps = opt->caps;
    p->args = calloc(ARGS_FIXED + ARGS_PER_JOB * p->max_batch, sizeof *p->args);
    if (p->args == NULL) {
        free(p);
        return fault_set(reterr, ERR_NOMEM, 0, "producer: out of memory");
    }
    must(uv_idle_init(loop, &p->idle) == 0);
    p->idle.data = p;
    *ret = p;
    return ERR_OK;
}
