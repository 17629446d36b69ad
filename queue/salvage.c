#include "queue/salvage.h"

#include "queue/keys.h"
#include "queue/redrive.h"
#include "queue/turn.h"
#include "shared/backoff.h"
#include "shared/clock.h"

#define SALVAGE_MAGIC 0x73616c76u
#define LOOK_MS       60000
#define GRACE_MS      60000
#define PAGE          100

struct stray {
    struct salvage *owner;
    struct uuid id;
    uint32_t attempt;
    bool lost;
};

/*  resting --timer--> asking for the turn --mine--> page of rows --> where are they in Redis?
 *     ^                     | another's                   ^                 |
 *     +---------------------+--- no more <----------------+-- put back <-- row again: still so? */
struct salvage {
    unsigned magic;
    struct salvage_options opt;
    uv_timer_t timer;
    struct uuid after;
    bool more, busy, closing;
    struct stray page[PAGE];
    size_t n, waiting;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static struct salvage *salvage_of(void *p)
{
    struct salvage *s = p;

    must(s != NULL && s->magic == SALVAGE_MAGIC);
    return s;
}

static void on_timer(uv_timer_t *t);
static void ask_page(struct salvage *s);

static void on_timer_closed(uv_handle_t *h)
{
    struct salvage *s = salvage_of(h->data);
    void (*on_closed)(void *) = s->on_closed;
    void *arg = s->closed_arg;

    s->magic = 0;
    free(s);
    if (on_closed != NULL)
        on_closed(arg);
}

static void rest(struct salvage *s)
{
    s->busy = false;
    if (s->closing)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    else
        (void)uv_timer_start(&s->timer, on_timer, backoff_jitter(s->opt.look_ms, 20), 0);
}

/* --- back into the queue --------------------------------------------------------------------- */

/* One stray is done with; after the last the next page follows. */
static void stray_over(struct salvage *s)
{
    if (--s->waiting > 0)
        return;
    if (s->more && !s->closing)
        ask_page(s);
    else
        rest(s);
}

static void on_enqueued(void *arg, enum err e, const struct fault *why)
{
    struct stray *stray = arg;
    struct salvage *s = salvage_of(stray->owner);
    char id[UUID_TEXT_SIZE];

    (void)why;
    if (e == ERR_OK)
        log_warn(s->opt.log, "job.salvaged", LOG_S("job", uuid_text(&stray->id, id)),
                 LOG_U("attempt", stray->attempt),
                 LOG_S("why", "its row waits for an attempt, and Redis did not have it"));
    stray_over(s);
}

static void on_row(void *arg, enum err e, const struct ledger_row *row,
                   const struct ledger_parts *parts)
{
    struct stray *stray = arg;
    struct salvage *s = salvage_of(stray->owner);

    (void)parts;
    if (e != ERR_OK || row->state != JOB_RETRYING || row->attempt != stray->attempt ||
        s->closing || redrive_enqueue(s->opt.producer, row, on_enqueued, stray) != ERR_OK)
        stray_over(s);
}

static void check_rows(struct salvage *s)
{
    s->waiting = 1;
    for (size_t i = 0; i < s->n && !s->closing; i++) {
        if (s->page[i].lost &&
            ledger_job(s->opt.pg, &s->page[i].id, on_row, &s->page[i]) == ERR_OK)
            s->waiting++;
    }
    stray_over(s);
}

/* --- are they live? -------------------------------------------------------------------------- */

static void state_over(struct salvage *s)
{
    if (--s->waiting == 0)
        check_rows(s);
}

static void on_state(void *arg, enum err e, const redisReply *reply)
{
    struct stray *stray = arg;

    stray->lost = e == ERR_OK && reply->type == REDIS_REPLY_NIL;
    state_over(salvage_of(stray->owner));
}

static enum err ask_state(struct salvage *s, struct stray *stray, struct slice queue_name)
{
    struct queue_keys keys;
    char queue[JOB_NAME_MAX + 1];
    struct slice words[3] = {SLICE_LIT("HGET")};

    if (!slice_to_cstr(queue_name, queue, sizeof queue) ||
        keys_init(&keys, queue, NULL) != ERR_OK)
        return ERR_MALFORMED;
    words[1] = keys.key[QUEUE_KEY_STATE];
    words[2] = slice_of(stray->id.bytes, UUID_LEN);
    return redis_command(s->opt.redis,
                         &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                         on_state, stray);
}

static void on_page(void *arg, enum err e, const struct ledger_row *rows, size_t n, bool more)
{
    struct salvage *s = salvage_of(arg);

    s->n = e == ERR_OK ? n : 0;
    s->more = e == ERR_OK && more;
    s->waiting = 1;
    for (size_t i = 0; i < s->n; i++) {
        s->page[i] = (struct stray){.owner = s, .id = rows[i].id, .attempt = rows[i].attempt};
        s->after = rows[i].id;
        if (!s->closing && ask_state(s, &s->page[i], rows[i].queue) == ERR_OK)
            s->waiting++;
    }
    state_over(s);
}

static void ask_page(struct salvage *s)
{
    uint64_t now_ms = clock_wall_ms();
    const struct ledger_strays what = {
        .due_before_ms = now_ms > s->opt.grace_ms ? now_ms - s->opt.grace_ms : 0,
        .after = s->after,
        .limit = PAGE,
    };

    if (ledger_strays(s->opt.pg, &what, on_page, s) != ERR_OK)
        rest(s);
}

/* --- whose turn ------------------------------------------------------------------------------ */

static void on_turn(void *arg, enum err e, const redisReply *reply)
{
    struct salvage *s = salvage_of(arg);

    if (!turn_is_ours(e, reply) || s->closing || !pg_is_up(s->opt.pg)) {
        rest(s);
        return;
    }
    memset(&s->after, 0, sizeof s->after);
    ask_page(s);
}

static void on_timer(uv_timer_t *t)
{
    struct salvage *s = salvage_of(t->data);

    s->busy = true;
    if (turn_ask(s->opt.redis, SLICE_LIT(KEYS_SALVAGE), s->opt.look_ms / 2 + 1, on_turn, s) !=
        ERR_OK)
        rest(s);
}

/* --- life ------------------------------------------------------------------------------------ */

enum err salvage_new(uv_loop_t *loop, const struct salvage_options *opt, struct salvage **ret,
                     struct fault *reterr)
{
    struct salvage *s = calloc(1, sizeof *s);

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "salvage: out of memory");
    s->magic = SALVAGE_MAGIC;
    s->opt = *opt;
    if (s->opt.look_ms == 0)
        s->opt.look_ms = LOOK_MS;
    if (s->opt.grace_ms == 0)
        s->opt.grace_ms = GRACE_MS;
    must(uv_timer_init(loop, &s->timer) == 0);
    s->timer.data = s;
    *ret = s;
    return ERR_OK;
}

void salvage_start(struct salvage *s)
{
    rest(s);
}

void salvage_close(struct salvage **s, void (*on_closed)(void *arg), void *arg)
{
    struct salvage *salvage = salvage_of(*s);

    *s = NULL;
    salvage->closing = true;
    salvage->on_closed = on_closed;
    salvage->closed_arg = arg;
    (void)uv_timer_stop(&salvage->timer);
    if (!salvage->busy)
        uv_close((uv_handle_t *)&salvage->timer, on_timer_closed);
}
