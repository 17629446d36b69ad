/* The line of outcomes, and the batches made of it.
 *
 *     record --> line --batch full or batch_ms over--> batch --answer--> ended, called back
 *                  ^                                    |  ^ |
 *     behind ------/ an earlier outcome of the id ended |  | \-- refused for its data: halved, down to
 *                                                       |  |     the bad row, which ends ERR_REJECTED
 *                                                       \--/ unreachable, late, busy: back-off
 *
 * An outcome whose id is held already waits behind that one, so a statement has an id at most
 * once, and the outcomes of one job are written in the order in which they were recorded. */
#include "queue/ledger_internal.h"

#include "shared/backoff.h"
#include "shared/failpoint.h"

#define LEDGER_MAGIC       0x6c656467u

#define BATCH_MS_DEFAULT   2
#define BATCH_ROWS_DEFAULT 512
#define MAX_HELD_DEFAULT   10000
#define BATCH_BYTES_MAX    (4u << 20)
#define IN_FLIGHT_MAX      2
#define RETRY_BASE_MS      50
#define RETRY_CAP_MS       2000
#define LOOK_MS            50 /* between looks for PostgreSQL, or at a lease in doubt */
#define MONTHS_AHEAD       2
#define UPKEEP_MS          (6u * 3600 * 1000)
#define UPKEEP_RETRY_MS    60000
#define BUCKETS            4096 /* power of two */

#define NEVER              UINT64_MAX

struct ledger {
    uint32_t magic;
    uv_loop_t *loop;
    struct pg *pg;
    struct ledger_options opt;
    uv_timer_t timer;          /* when the line or a batch is due */
    uv_timer_t upkeep;         /* when the partitions are looked after */
    struct held *head, **tail; /* the line */
    size_t in_line, line_bytes;
    struct batch *waiting; /* for their back-off */
    unsigned in_flight;    /* statements */
    size_t held;
    struct fault trouble;
    bool closing, upkeep_runs;
    unsigned timers; /* still open */
    ledger_closed_fn *on_closed;
    void *closed_arg;
    struct held *buckets[BUCKETS];
};

static struct ledger *ledger_of(const uv_handle_t *h)
{
    struct ledger *l = h->data;

    must(l != NULL && l->magic == LEDGER_MAGIC);
    return l;
}

/* --- which ids are held -------------------------------------------------------------------- */

static struct held **bucket_of(struct ledger *l, const struct uuid *id)
{
    uint64_t hash;

    memcpy(&hash, id->bytes + UUID_LEN - sizeof hash, sizeof hash); /* the random half */
    return &l->buckets[(hash ^ hash >> 32) % BUCKETS];
}

/* Where the first outcome of that id hangs in its bucket, or the bucket's end. */
static struct held **find_id(struct ledger *l, const struct uuid *id)
{
    struct held **at = bucket_of(l, id);

    while (*at != NULL && !uuid_eq(&(*at)->o.id, id))
        at = &(*at)->chain;
    return at;
}

static void join_line(struct ledger *l, struct held *h)
{
    h->since_ms = uv_now(l->loop);
    h->next = NULL;
    *l->tail = h;
    l->tail = &h->next;
    l->in_line++;
    l->line_bytes += h->bytes;
}

static struct held *leave_line(struct ledger *l)
{
    struct held *h = l->head;

    l->head = h->next;
    if (l->head == NULL)
        l->tail = &l->head;
    l->in_line--;
    l->line_bytes -= h->bytes;
    return h;
}

static void add_held(struct ledger *l, struct held *h)
{
    struct held **at = find_id(l, &h->o.id);

    l->held++;
    if (*at == NULL) {
        *at = h;
        join_line(l, h);
        return;
    }
    while (*at != NULL)
        at = &(*at)->behind;
    *at = h;
}

/* Takes h. The outcome behind it, if there is one, takes its place. */
static void end_outcome(struct ledger *l, struct held *h, enum err e)
{
    struct held **at = find_id(l, &h->o.id);
    struct held *heir = h->behind;

    must(*at == h);
    *at = h->chain;
    if (heir != NULL) {
        heir->chain = h->chain;
        *at = heir;
        join_line(l, heir);
    }
    l->held--;
    if (h->cb != NULL)
        h->cb(h->arg, e, h->applied);
    held_free(&h);
}

static void end_batch(struct ledger *l, struct batch *b, enum err e)
{
    for (size_t i = 0; i < b->n; i++)
        end_outcome(l, b->rows[i], e);
    free(b);
}

/* --- batches --------------------------------------------------------------------------------- */

static void pump(struct ledger *l);
static pg_result_fn on_result;

static void wait_for(struct ledger *l, struct batch *b, uint64_t due_ms)
{
    b->due_ms = due_ms;
    b->next = l->waiting;
    l->waiting = b;
}

static void back_off(struct ledger *l, struct batch *b)
{
    uint64_t wait_ms = backoff_ms(RETRY_BASE_MS, RETRY_CAP_MS, b->tries);

    log_debug(l->opt.log, "ledger.retry", LOG_U("rows", b->n), LOG_U("tries", b->tries),
              LOG_U("wait_ms", wait_ms), LOG_S("why", l->trouble.text));
    b->tries++;
    wait_for(l, b, uv_now(l->loop) + wait_ms);
}

static struct batch *part_of(const struct batch *b, size_t from, size_t n)
{
    struct batch *part = batch_new(b->ledger, n);

    if (part == NULL)
        return NULL;
    memcpy(part->rows, b->rows + from, n * sizeof(struct held *));
    part->n = n;
    return part;
}

/* Takes b: something in it is bad. */
static void split(struct ledger *l, struct batch *b)
{
    struct batch *low = part_of(b, 0, b->n / 2);
    struct batch *high = part_of(b, b->n / 2, b->n - b->n / 2);

    if (low == NULL || high == NULL) {
        free(low);
        free(high);
        back_off(l, b);
        return;
    }
    free(b);
    wait_for(l, low, 0);
    wait_for(l, high, 0);
}

/* Whether the refusal is about rows. Where it is about the database (no such table, not allowed:
 * SQLSTATE classes 28, 3D, 3F, 42) somebody will mend that, and the outcomes are held so long. */
static bool blames_data(enum err e, const struct fault *why)
{
    static const char *const database[] = {"28", "3D", "3F", "42"};

    if (e == ERR_TOO_BIG)
        return true;
    if (e != ERR_REJECTED)
        return false;
    for (size_t i = 0; i < COUNT_OF(database); i++) {
        if (strncmp(why->text, database[i], 2) == 0)
            return false;
    }
    return true;
}

static void on_failure(struct ledger *l, struct batch *b, enum err e, const struct fault *why)
{
    if (l->closing) {
        end_batch(l, b, ERR_CANCELED);
    } else if (!blames_data(e, why)) {
        l->trouble = *why;
        back_off(l, b);
    } else if (b->n > 1) {
        split(l, b);
    } else {
        log_debug(l->opt.log, "ledger.refused", LOG_S("why", why->text));
        end_batch(l, b, e);
    }
}

static void on_result(void *arg, enum err e, const PGresult *res, const struct fault *why)
{
    struct batch *b = arg;
    struct ledger *l = b->ledger;

    l->in_flight--;
    if (e == ERR_OK) {
        l->trouble = (struct fault){.err = ERR_OK};
        batch_read(b, res);
        end_batch(l, b, ERR_OK);
    } else {
        on_failure(l, b, e, why);
    }
    pump(l);
}

static enum ledger_leave leave_of(const struct held *h)
{
    return h->o.leave == NULL ? LEDGER_WRITE : h->o.leave(h->arg);
}

/* Ends the outcomes that are not wanted any more. True: the rest may go out now. */
static bool ask_leave(struct ledger *l, struct batch *b)
{
    size_t kept = 0;
    bool now = true;

    for (size_t i = 0; i < b->n; i++) {
        enum ledger_leave leave = leave_of(b->rows[i]);

        if (leave == LEDGER_DROP) {
            end_outcome(l, b->rows[i], ERR_CANCELED);
            continue;
        }
        now = now && leave == LEDGER_WRITE;
        b->rows[kept++] = b->rows[i];
    }
    b->n = kept;
    return now;
}

static void send_batch(struct ledger *l, struct batch *b)
{
    bool now = ask_leave(l, b);
    struct fault why;
    enum err e;

    if (b->n == 0 || l->closing) {
        end_batch(l, b, ERR_CANCELED);
        return;
    }
    if (!now) {
        wait_for(l, b, uv_now(l->loop) + LOOK_MS);
        return;
    }
    e = batch_send(b, l->pg, on_result, b);
    if (e == ERR_OK) {
        l->in_flight++;
        return;
    }
    (void)fault_set(&why, e, 0, "%s", err_text(e));
    on_failure(l, b, e, &why);
}

/* --- what is due ------------------------------------------------------------------------------ */

static bool line_is_full(const struct ledger *l)
{
    return l->in_line >= l->opt.batch_rows || l->line_bytes >= BATCH_BYTES_MAX;
}

static uint64_t line_due_ms(const struct ledger *l)
{
    if (l->head == NULL)
        return NEVER;
    return line_is_full(l) ? 0 : l->head->since_ms + l->opt.batch_ms;
}

/* NULL: no memory. */
static struct batch *close_line(struct ledger *l)
{
    size_t n = l->in_line < l->opt.batch_rows ? l->in_line : l->opt.batch_rows;
    struct batch *b = batch_new(l, n);
    size_t bytes = 0;

    while (b != NULL && b->n < n && bytes < BATCH_BYTES_MAX) {
        bytes += l->head->bytes;
        b->rows[b->n++] = leave_line(l);
    }
    if (b != NULL)
        batch_sort(b);
    return b;
}

static struct batch **first_waiting(struct ledger *l)
{
    struct batch **first = &l->waiting;

    for (struct batch **at = &l->waiting; *at != NULL; at = &(*at)->next) {
        if ((*at)->due_ms < (*first)->due_ms)
            first = at;
    }
    return first;
}

static uint64_t next_due_ms(struct ledger *l)
{
    const struct batch *b = *first_waiting(l);
    uint64_t line_ms = line_due_ms(l);

    return b != NULL && b->due_ms < line_ms ? b->due_ms : line_ms;
}

static struct batch *take_due(struct ledger *l, uint64_t now_ms)
{
    struct batch **at = first_waiting(l);
    struct batch *b = *at;

    if (b != NULL && b->due_ms <= now_ms) {
        *at = b->next;
        return b;
    }
    return line_due_ms(l) <= now_ms ? close_line(l) : NULL;
}

static void on_timer(uv_timer_t *timer)
{
    pump(ledger_of((uv_handle_t *)timer));
}

static void set_timer(struct ledger *l)
{
    uint64_t now_ms = uv_now(l->loop);
    uint64_t due_ms = next_due_ms(l);

    if (due_ms != NEVER && due_ms < now_ms + LOOK_MS && !pg_is_up(l->pg))
        due_ms = now_ms + LOOK_MS;
    if (l->in_flight >= IN_FLIGHT_MAX || due_ms == NEVER)
        must(uv_timer_stop(&l->timer) == 0);
    else
        must(uv_timer_start(&l->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0) ==
             0);
}

static void end_when_idle(struct ledger *l);

/* Sends what is due, as far as there is room, and sets the timer for the rest. Called from the
 * loop only, so outcomes may be called back in here; and one of them may close the ledger. */
static void pump(struct ledger *l)
{
    uint64_t now_ms = uv_now(l->loop);
    struct batch *b;

    if (!l->closing && !pg_is_up(l->pg) && next_due_ms(l) <= now_ms)
        (void)fault_set(&l->trouble, ERR_UNREACHABLE, 0, "PostgreSQL is not reachable");
    while (!l->closing && l->in_flight < IN_FLIGHT_MAX && pg_is_up(l->pg) &&
           (b = take_due(l, now_ms)) != NULL)
        send_batch(l, b);
    if (l->closing)
        end_when_idle(l);
    else
        set_timer(l);
}

/* --- months to come ---------------------------------------------------------------------------- */

static ledger_partitions_fn on_partitions;

static void on_upkeep(uv_timer_t *timer)
{
    struct ledger *l = ledger_of((uv_handle_t *)timer);

    if (ledger_partitions(l->pg, MONTHS_AHEAD, on_partitions, l) == ERR_OK)
        l->upkeep_runs = true;
    else
        must(uv_timer_start(&l->upkeep, on_upkeep, UPKEEP_RETRY_MS, 0) == 0);
}

/* A failure costs nothing but order: rows of a month without partitions go to the default one. */
static void on_partitions(void *arg, enum err e, unsigned made)
{
    struct ledger *l = arg;

    l->upkeep_runs = false;
    log_debug(l->opt.log, "ledger.partitions", LOG_S("err", err_name(e)), LOG_U("made", made));
    if (l->closing)
        end_when_idle(l);
    else
        must(uv_timer_start(&l->upkeep, on_upkeep, e == ERR_OK ? UPKEEP_MS : UPKEEP_RETRY_MS,
                            0) == 0);
}

/* --- what the owner calls ---------------------------------------------------------------------- */

enum err ledger_new(uv_loop_t *loop, struct pg *pg, const struct ledger_options *opt,
                    struct ledger **ret, struct fault *reterr)
{
    struct ledger *l = calloc(1, sizeof *l);

    if (l == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "ledger: out of memory");
    l->magic = LEDGER_MAGIC;
    l->loop = loop;
    l->pg = pg;
    if (opt != NULL)
        l->opt = *opt;
    if (l->opt.batch_ms == 0)
        l->opt.batch_ms = BATCH_MS_DEFAULT;
    if (l->opt.batch_rows == 0)
        l->opt.batch_rows = BATCH_ROWS_DEFAULT;
    if (l->opt.max_held == 0)
        l->opt.max_held = MAX_HELD_DEFAULT;
    l->tail = &l->head;
    l->timers = 2;
    must(uv_timer_init(loop, &l->timer) == 0 && uv_timer_init(loop, &l->upkeep) == 0);
    l->timer.data = l;
    l->upkeep.data = l;
    uv_unref((uv_handle_t *)&l->upkeep);
    must(uv_timer_start(&l->upkeep, on_upkeep, 0, 0) == 0);
    *ret = l;
    return ERR_OK;
}

enum err ledger_record(struct ledger *l, const struct ledger_outcome *o, ledger_recorded_fn *cb,
                       void *arg)
{
    struct held *h;

    if (l->closing)
        return ERR_CANCELED;
    if (l->held >= l->opt.max_held)
        return ERR_BUSY;
    h = held_new(o, cb, arg);
    if (h == NULL)
        return ERR_NOMEM;
    FAILPOINT("ledger.record");
    add_held(l, h);
    if (line_is_full(l) || !uv_is_active((uv_handle_t *)&l->timer))
        set_timer(l);
    return ERR_OK;
}

bool ledger_has_room(const struct ledger *l, size_t n)
{
    return l->held + n <= l->opt.max_held;
}

size_t ledger_held(const struct ledger *l)
{
    return l->held;
}

void ledger_trouble(const struct ledger *l, struct fault *ret)
{
    *ret = l->trouble;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct ledger *l = ledger_of(handle);
    ledger_closed_fn *on_closed = l->on_closed;
    void *arg = l->closed_arg;

    if (--l->timers > 0)
        return;
    l->magic = 0;
    free(l);
    if (on_closed != NULL)
        on_closed(arg);
}

/* The first turn after the close ends all that is not on its way; the last statement's answer
 * ends the rest. */
static void end_when_idle(struct ledger *l)
{
    struct batch *b;

    while ((b = l->waiting) != NULL) {
        l->waiting = b->next;
        end_batch(l, b, ERR_CANCELED);
    }
    while (l->head != NULL)
        end_outcome(l, leave_line(l), ERR_CANCELED);
    if (l->in_flight > 0 || l->upkeep_runs || uv_is_closing((uv_handle_t *)&l->timer))
        return;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    uv_close((uv_handle_t *)&l->upkeep, on_timer_closed);
}

void ledger_close(struct ledger **l, ledger_closed_fn *on_closed, void *arg)
{
    struct ledger *ledger = *l;

    *l = NULL;
    if (ledger == NULL)
        return;
    must(!ledger->closing);
    ledger->closing = true;
    ledger->on_closed = on_closed;
    ledger->closed_arg = arg;
    /* The owner may close pg right after this: nothing new is asked of it. */
    (void)uv_timer_stop(&ledger->upkeep);
    must(uv_timer_start(&ledger->timer, on_timer, 0, 0) == 0);
}
