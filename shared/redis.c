#include "shared/redis_internal.h"

#include "shared/backoff.h"

#define REDIS_MAGIC       0x52454453u
#define CONNECT_MS        3000
#define COMMAND_MS        5000
#define MAX_PENDING       10000
#define MAX_PENDING_BYTES ((size_t)64 << 20)
#define MAX_REPLY_BYTES   ((size_t)64 << 20)
#define BACKOFF_FIRST_MS  50
#define BACKOFF_CAP_MS    2000
#define TRIES_MAX         16

static void on_timer(uv_timer_t *t);

static struct redis *redis_of(void *p)
{
    struct redis *r = p;

    must(r != NULL && r->magic == REDIS_MAGIC);
    return r;
}

/* --- state ---------------------------------------------------------------------------------- */

static const char *const state_names[] = {
    [REDIS_DOWN] = "down", [REDIS_CONNECTING] = "connecting", [REDIS_GREETING] = "greeting",
    [REDIS_UP] = "up",     [REDIS_CLOSING] = "closing",
};

static bool may_follow(enum redis_state from, enum redis_state to)
{
    switch (to) {
    case REDIS_DOWN:
        return from == REDIS_CONNECTING || from == REDIS_GREETING || from == REDIS_UP;
    case REDIS_CONNECTING:
        return from == REDIS_DOWN;
    case REDIS_GREETING:
        return from == REDIS_CONNECTING;
    case REDIS_UP:
        return from == REDIS_GREETING;
    case REDIS_CLOSING:
        return from != REDIS_CLOSING;
    }
    return false;
}

static void set_state(struct redis *r, enum redis_state to)
{
    must(may_follow(r->state, to));
    log_debug(r->log, "redis.state", LOG_S("where", r->url.where),
              LOG_S("from", state_names[r->state]), LOG_S("to", state_names[to]));
    r->state = to;
}

bool redis_is_up(const struct redis *r)
{
    return r->state == REDIS_UP;
}

enum redis_state redis_state(const struct redis *r)
{
    return r->state;
}

bool redis_is_linked(const struct redis *r)
{
    return r->state == REDIS_GREETING || r->state == REDIS_UP;
}

size_t redis_pending(const struct redis *r)
{
    return r->line.len;
}

const char *redis_where(const struct redis *r)
{
    return r->url.where;
}

/* Tells a change, and a new reason for being down still. */
static void tell(struct redis *r, bool up, const char *why)
{
    if (r->told && r->told_up == up && strcmp(r->told_why, why) == 0)
        return;
    r->told = true;
    r->told_up = up;
    (void)snprintf(r->told_why, sizeof r->told_why, "%s", why);
    log_debug(r->log, up ? "redis.up" : "redis.down", LOG_S("where", r->url.where),
              LOG_S("why", why));
    if (r->on_state != NULL)
        r->on_state(r->state_arg, up, r->told_why);
}

/* --- falling -------------------------------------------------------------------------------- */

static enum err end_of(const struct redis_waiter *w, const struct redis_fall *fall, bool first,
                       uint64_t now_ms)
{
    if (fall->first == ERR_TIMEOUT)
        return w->deadline_ms <= now_ms ? ERR_TIMEOUT : ERR_UNREACHABLE;
    return first ? fall->first : ERR_UNREACHABLE;
}

/* Stops when a callback closes the client: the rest then ends with ERR_CANCELED. */
static void end_all(struct redis *r, const struct redis_fall *fall)
{
    uint64_t now_ms = uv_now(r->loop);

    for (bool first = true; r->line.len > 0 && r->state != REDIS_CLOSING; first = false) {
        struct redis_waiter w = redis_line_pop(&r->line);

        if (w.kind == REDIS_KIND_USER)
            w.cb(w.arg, end_of(&w, fall, first, now_ms), first ? fall->reply : NULL);
    }
}

static void forget_connection(struct redis *r)
{
    resp_parser_done(&r->parser);
    freeReplyObject(r->load_refused);
    r->load_refused = NULL;
    r->loading = NULL;
    r->loads = 0;
    r->grace = false;
    r->earliest_ms = UINT64_MAX;
}

static void wait_to_connect(struct redis *r, uint64_t ms)
{
    must(uv_timer_start(&r->timer, on_timer, ms, 0) == 0);
}

void redis_fall(struct redis *r, const struct redis_fall *fall)
{
    char why[REDIS_WHY_SIZE];

    (void)snprintf(why, sizeof why, "%s", fall->why); /* it may lie in what goes now */
    set_state(r, REDIS_DOWN);
    if (r->link.state != REDIS_LINK_SHUT)
        redis_link_shut(&r->link);
    forget_connection(r);
    end_all(r, fall);
    if (r->state == REDIS_CLOSING)
        return;
    wait_to_connect(r, backoff_ms(BACKOFF_FIRST_MS, BACKOFF_CAP_MS, r->tries));
    if (r->tries < TRIES_MAX)
        r->tries++;
    tell(r, false, why);
}

void redis_rise(struct redis *r)
{
    set_state(r, REDIS_UP);
    (void)uv_timer_stop(&r->timer);
    tell(r, true, "");
}

static void on_link_lost(void *arg, int uv, const char *doing)
{
    struct redis *r = redis_of(arg);
    char why[REDIS_WHY_SIZE];

    (void)snprintf(why, sizeof why, "%s: %s", doing,
                   uv == UV_EOF ? "Redis closed the connection" : uv_strerror(uv));
    redis_fall(r, &(struct redis_fall){.first = ERR_UNREACHABLE, .why = why});
}

static void on_link_open(void *arg)
{
    struct redis *r = redis_of(arg);

    set_state(r, REDIS_GREETING);
    if (resp_parser_init(&r->parser, r->max_reply_bytes) != ERR_OK || redis_greet(r) != ERR_OK)
        redis_fall(r, &(struct redis_fall){.first = ERR_NOMEM, .why = "out of memory"});
}

/* --- timer ---------------------------------------------------------------------------------- */

static void begin(struct redis *r)
{
    set_state(r, REDIS_CONNECTING);
    r->connect_by_ms = uv_now(r->loop) + r->connect_ms;
    must(uv_timer_start(&r->timer, on_timer, r->connect_ms, 0) == 0);
    redis_link_open(&r->link, r->connect_by_ms);
}

static void set_earliest(struct redis *r, uint64_t at_ms, uint64_t now_ms)
{
    r->earliest_ms = at_ms;
    must(uv_timer_start(&r->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0) == 0);
}

uint64_t redis_deadline(struct redis *r, uint32_t ms)
{
    uint64_t deadline_ms;

    /* uv_now() is as old as the turn of the loop; one look at the clock serves all commands of
     * the turn. */
    if (!redis_link_is_corked(&r->link))
        r->now_ms = uv_hrtime() / 1000000;
    deadline_ms = r->now_ms + (ms == 0 ? r->command_ms : ms);
    if (deadline_ms < r->earliest_ms)
        set_earliest(r, deadline_ms, uv_now(r->loop));
    return deadline_ms;
}

/* A loop that was held up finds the timer due before it has read what arrived in the meantime.
 * So a deadline that has passed is looked at again after one more turn. */
static void check_deadlines(struct redis *r)
{
    uint64_t now_ms = uv_now(r->loop);
    uint64_t earliest_ms = redis_line_earliest_ms(&r->line);

    if (earliest_ms <= now_ms && r->grace) {
        redis_fall(r, &(struct redis_fall){.first = ERR_TIMEOUT, .why = "no reply in time"});
        return;
    }
    r->grace = earliest_ms <= now_ms;
    r->earliest_ms = UINT64_MAX;
    if (earliest_ms != UINT64_MAX)
        set_earliest(r, r->grace ? now_ms + 1 : earliest_ms, now_ms);
}

static void on_timer(uv_timer_t *t)
{
    struct redis *r = redis_of(t->data);
    char why[REDIS_WHY_SIZE];

    switch (r->state) {
    case REDIS_DOWN:
        begin(r);
        return;
    case REDIS_CONNECTING:
    case REDIS_GREETING:
        (void)snprintf(why, sizeof why, "no %s in %u ms",
                       r->state == REDIS_CONNECTING ? "connection" : "greeting", r->connect_ms);
        redis_fall(r, &(struct redis_fall){.first = ERR_UNREACHABLE, .why = why});
        return;
    case REDIS_UP:
        check_deadlines(r);
        return;
    case REDIS_CLOSING:
        return;
    }
}

/* --- life ----------------------------------------------------------------------------------- */

static void free_parts(struct redis *r)
{
    redis_line_done(&r->line);
    forget_connection(r);
    redis_url_done(&r->url);
    free(r->name);
    r->magic = 0;
    free(r);
}

static void finish_if_done(struct redis *r)
{
    if (r->timer_live || r->link_live)
        return;
    while (r->line.len > 0) {
        struct redis_waiter w = redis_line_pop(&r->line);

        if (w.kind == REDIS_KIND_USER)
            w.cb(w.arg, ERR_CANCELED, NULL);
    }
    if (r->on_closed != NULL)
        r->on_closed(r->closed_arg);
    free_parts(r);
}

static void on_link_closed(void *arg)
{
    struct redis *r = redis_of(arg);

    r->link_live = false;
    finish_if_done(r);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct redis *r = redis_of(h->data);

    r->timer_live = false;
    finish_if_done(r);
}

void redis_close(struct redis **r, redis_closed_fn *on_closed, void *arg)
{
    struct redis *c = redis_of(*r);

    *r = NULL;
    set_state(c, REDIS_CLOSING);
    c->on_closed = on_closed;
    c->closed_arg = arg;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    redis_link_close(&c->link);
}

static bool is_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return false;
    }
    return true;
}

static void take_limits(struct redis *r, const struct redis_options *opt)
{
    r->connect_ms = opt->connect_ms == 0 ? CONNECT_MS : opt->connect_ms;
    r->command_ms = opt->command_ms == 0 ? COMMAND_MS : opt->command_ms;
    r->max_pending = opt->max_pending == 0 ? MAX_PENDING : opt->max_pending;
    r->max_pending_bytes =
        opt->max_pending_bytes == 0 ? MAX_PENDING_BYTES : opt->max_pending_bytes;
    r->max_reply_bytes = opt->max_reply_bytes == 0 ? MAX_REPLY_BYTES : opt->max_reply_bytes;
}

/* Nothing of libuv may be begun before the last thing that can fail. */
static enum err take_options(struct redis *r, const struct redis_options *opt,
                             struct fault *reterr)
{
    static const struct redis_link_events events = {
        .opened = on_link_open,
        .bytes = redis_on_bytes,
        .lost = on_link_lost,
        .closed = on_link_closed,
    };
    enum err e = redis_url_parse(opt->url, &r->url, reterr);

    if (e != ERR_OK)
        return e;
    if (opt->name != NULL && !is_name(opt->name))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "Redis connection name: only printable ASCII without spaces");
    if (opt->name != NULL)
        r->name = strdup(opt->name);
    if ((opt->name != NULL && r->name == NULL) ||
        redis_link_init(&r->link, r->loop, &r->url, &events, r) != ERR_OK)
        return fault_set(reterr, ERR_NOMEM, 0, "Redis client: out of memory");
    return ERR_OK;
}

enum err redis_new(uv_loop_t *loop, const struct redis_options *opt, struct redis **ret,
                   struct fault *reterr)
{
    struct redis *r = calloc(1, sizeof *r);
    enum err e;

    if (r == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "Redis client: out of memory");
    r->magic = REDIS_MAGIC;
    r->loop = loop;
    r->log = opt->log;
    r->earliest_ms = UINT64_MAX;
    take_limits(r, opt);
    e = take_options(r, opt, reterr);
    if (e != ERR_OK) {
        free_parts(r);
        return e;
    }
    must(uv_timer_init(loop, &r->timer) == 0);
    r->timer.data = r;
    r->timer_live = r->link_live = true;
    *ret = r;
    return ERR_OK;
}

void redis_start(struct redis *r, redis_state_fn *on_state, void *arg)
{
    must(r->state == REDIS_DOWN && !uv_is_active((uv_handle_t *)&r->timer));
    r->on_state = on_state;
    r->state_arg = arg;
    wait_to_connect(r, 0);
}

void redis_adopt(struct redis *r, uv_os_sock_t fd, redis_state_fn *on_state, void *arg)
{
    r->on_state = on_state;
    r->state_arg = arg;
    set_state(r, REDIS_CONNECTING);
    r->connect_by_ms = uv_now(r->loop) + r->connect_ms;
    must(uv_timer_start(&r->timer, on_timer, r->connect_ms, 0) == 0);
    redis_link_adopt(&r->link, fd);
}
