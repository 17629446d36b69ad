#include "shared/loop.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "shared/log.h"
#include "shared/systemd.h"

enum {
    MAGIC = 0x6c6f6f70,
    STOP_SLACK_MS = 5000, /* from the end of the drain to the end of the process */
    FREE_WAIT_MS = 3000,  /* how long loop_free() waits for requests that are under way */
};

enum state { STATE_RUNNING, STATE_DRAINING, STATE_STOPPED };

struct loop {
    unsigned magic;
    uv_loop_t uv;
    enum state state;
    bool forced, wait_over;

    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t limit, watchdog; /* limit: of the drain, then of the wait in loop_free() */
    uv_check_t turn_end;        /* runs the later list */
    uv_idle_t no_wait;          /* active while there is a list, so that the poll returns */

    uint64_t drain_ms;
    loop_drain_fn *on_drain;
    void *drain_arg;
    loop_hangup_fn *on_hangup;
    void *hangup_arg;
    struct loop_later *later, **later_tail;
    struct loop_later drain_later;
};

static struct loop *loop_of(const uv_handle_t *h)
{
    struct loop *l = h->data;

    must(l != NULL && l->magic == MAGIC);
    return l;
}

static void set_state(struct loop *l, enum state next)
{
    static const char *const names[] = {[STATE_RUNNING] = "running",
                                        [STATE_DRAINING] = "draining",
                                        [STATE_STOPPED] = "stopped"};

    must(next > l->state);
    log_debug(NULL, "loop.state", LOG_S("from", names[l->state]), LOG_S("to", names[next]));
    l->state = next;
}

/* --- the later list ------------------------------------------------------------------------ */

static void run_later(struct loop *l)
{
    struct loop_later *list = l->later, *item;

    l->later = NULL; /* what is queued from here on is for the next turn */
    l->later_tail = &l->later;
    while ((item = list) != NULL) {
        list = item->next;
        item->queued = false;
        item->fn(item->arg);
    }
}

static void on_turn_end(uv_check_t *h)
{
    struct loop *l = loop_of((uv_handle_t *)h);

    run_later(l);
    if (l->later == NULL) {
        (void)uv_idle_stop(&l->no_wait);
        (void)uv_check_stop(&l->turn_end);
    }
}

static void on_no_wait(uv_idle_t *h)
{
    (void)h; /* being active is its whole work */
}

void loop_later(struct loop *l, struct loop_later *later, loop_later_fn *fn, void *arg)
{
    if (later->queued)
        return;
    *later = (struct loop_later){.fn = fn, .arg = arg, .queued = true};
    *l->later_tail = later;
    l->later_tail = &later->next;
    (void)uv_idle_start(&l->no_wait, on_no_wait);
    (void)uv_check_start(&l->turn_end, on_turn_end);
}

/* --- drain and stop ------------------------------------------------------------------------ */

static void force_stop(struct loop *l, const char *why)
{
    if (l->state == STATE_STOPPED)
        return;
    log_warn(NULL, "loop.forced", LOG_S("why", why));
    l->forced = true;
    loop_stop(l);
}

static void on_drain_timer(uv_timer_t *h)
{
    force_stop(loop_of((uv_handle_t *)h), "the drain took too long");
}

static void tell_draining(const struct loop *l)
{
    char text[128];
    uint64_t extend_us = (l->drain_ms + STOP_SLACK_MS) * 1000;

    if (l->drain_ms == 0)
        (void)snprintf(text, sizeof text, "STOPPING=1\nSTATUS=Draining\n");
    else
        (void)snprintf(text, sizeof text,
                       "STOPPING=1\nSTATUS=Draining\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\n",
                       extend_us);
    systemd_notify(text);
}

static void call_on_drain(void *arg)
{
    struct loop *l = arg;

    if (l->state != STATE_DRAINING)
        return;
    if (l->on_drain == NULL)
        loop_stop(l);
    else
        l->on_drain(l->drain_arg);
}

void loop_drain(struct loop *l)
{
    if (l->state != STATE_RUNNING)
        return;
    set_state(l, STATE_DRAINING);
    tell_draining(l);
    if (l->drain_ms > 0)
        (void)uv_timer_start(&l->limit, on_drain_timer, l->drain_ms, 0);
    loop_later(l, &l->drain_later, call_on_drain, l);
}

void loop_stop(struct loop *l)
{
    if (l->state == STATE_RUNNING)
        systemd_notify("STOPPING=1\n");
    if (l->state != STATE_STOPPED)
        set_state(l, STATE_STOPPED);
    uv_stop(&l->uv);
}

bool loop_is_draining(const struct loop *l)
{
    return l->state != STATE_RUNNING;
}

void loop_on_drain(struct loop *l, uint64_t drain_ms, loop_drain_fn *fn, void *arg)
{
    l->drain_ms = drain_ms;
    l->on_drain = fn;
    l->drain_arg = arg;
}

/* --- signals ------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *h, int signum)
{
    struct loop *l = loop_of((uv_handle_t *)h);

    if (signum == SIGHUP && l->on_hangup != NULL) {
        l->on_hangup(l->hangup_arg);
        return;
    }
    log_debug(NULL, "loop.signal", LOG_I("signal", signum));
    if (l->state == STATE_RUNNING)
        loop_drain(l);
    else if (signum != SIGHUP)
        force_stop(l, "a second signal");
}

void loop_on_hangup(struct loop *l, loop_hangup_fn *fn, void *arg)
{
    l->on_hangup = fn;
    l->hangup_arg = arg;
}

/* --- systemd ------------------------------------------------------------------------------- */

static void on_watchdog(uv_timer_t *h)
{
    (void)loop_of((uv_handle_t *)h);
    systemd_notify("WATCHDOG=1\n");
}

static void watch(struct loop *l)
{
    uint64_t half_ms = systemd_watchdog_us() / 2000;

    if (systemd_watchdog_us() == 0 || uv_is_active((uv_handle_t *)&l->watchdog))
        return;
    systemd_notify("WATCHDOG=1\n");
    half_ms = half_ms == 0 ? 1 : half_ms;
    (void)uv_timer_start(&l->watchdog, on_watchdog, half_ms, half_ms);
}

void loop_ready(struct loop *l, const char *status)
{
    char text[256];

    (void)snprintf(text, sizeof text, "READY=1\nSTATUS=%.200s", status == NULL ? "" : status);
    for (char *p = strchr(text, '\n') + 1; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ')
            *p = ' '; /* a line break would begin another assignment */
    }
    systemd_notify(text);
    watch(l);
}

size_t loop_listen_fds(int *fds, size_t max)
{
    return systemd_listen_fds(fds, max);
}

/* --- birth and end ------------------------------------------------------------------------- */

static void ignore_sigpipe(void)
{
    struct sigaction sa = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &sa, NULL);
}

static int init_handles(struct loop *l)
{
    struct {
        uv_signal_t *handle;
        int signum;
    } const signals[] = {{&l->sigterm, SIGTERM}, {&l->sigint, SIGINT}, {&l->sighup, SIGHUP}};
    int rc = 0;

    (void)uv_timer_init(&l->uv, &l->limit);
    (void)uv_timer_init(&l->uv, &l->watchdog);
    (void)uv_check_init(&l->uv, &l->turn_end);
    (void)uv_idle_init(&l->uv, &l->no_wait);
    l->limit.data = l->watchdog.data = l->turn_end.data = l->no_wait.data = l;
    uv_unref((uv_handle_t *)&l->limit);
    uv_unref((uv_handle_t *)&l->watchdog);
    for (size_t i = 0; i < COUNT_OF(signals) && rc == 0; i++) {
        rc = uv_signal_init(&l->uv, signals[i].handle);
        if (rc != 0)
            break;
        signals[i].handle->data = l;
        rc = uv_signal_start(signals[i].handle, on_signal, signals[i].signum);
        uv_unref((uv_handle_t *)signals[i].handle);
    }
    return rc;
}

enum err loop_new(struct loop **ret, struct fault *reterr)
{
    struct loop *l = calloc(1, sizeof *l);
    int rc;

    if (l == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "event loop");
    rc = uv_loop_init(&l->uv);
    if (rc != 0) {
        free(l);
        return fault_set(reterr, ERR_INTERNAL, -rc, "event loop: %s", uv_strerror(rc));
    }
    l->magic = MAGIC;
    l->later_tail = &l->later;
    ignore_sigpipe();
    rc = init_handles(l);
    if (rc != 0) {
        (void)loop_free(&l);
        return fault_set(reterr, ERR_INTERNAL, -rc, "signal handlers: %s", uv_strerror(rc));
    }
    *ret = l;
    return ERR_OK;
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

bool loop_run(struct loop *l)
{
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return !l->forced;
}

static bool is_own(const struct loop *l, const uv_handle_t *h)
{
    const char *at = (const char *)h;

    return at >= (const char *)l && at < (const char *)(l + 1);
}

struct census {
    const struct loop *loop;
    size_t closing, foreign;
};

static void count_handle(uv_handle_t *h, void *arg)
{
    struct census *c = arg;

    if (uv_is_closing(h))
        c->closing++;
    else if (!is_own(c->loop, h))
        c->foreign++;
}

static struct census census(struct loop *l)
{
    struct census c = {.loop = l};

    uv_walk(&l->uv, count_handle, &c);
    return c;
}

static void on_wait_over(uv_timer_t *h)
{
    loop_of((uv_handle_t *)h)->wait_over = true;
}

/* Turns the loop while something is on its way out: an end that has begun may close further
 * handles in its callbacks, and those are not left over. */
static void finish_closing(struct loop *l)
{
    (void)uv_timer_start(&l->limit, on_wait_over, FREE_WAIT_MS, 0);
    while (!l->wait_over &&
           (l->later != NULL || l->uv.active_reqs.count > 0 || census(l).closing > 0))
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    (void)uv_timer_stop(&l->limit);
}

static void close_foreign(uv_handle_t *h, void *arg)
{
    const struct loop *l = arg;

    if (uv_is_closing(h) || is_own(l, h))
        return;
    log_warn(NULL, "loop.handle_left",
             LOG_S("type", uv_handle_type_name(uv_handle_get_type(h))));
    uv_close(h, NULL);
}

/* Everything but what the end itself turns on: the later list and the limit. */
static void close_sources(struct loop *l)
{
    uv_handle_t *const handles[] = {(uv_handle_t *)&l->sigterm, (uv_handle_t *)&l->sigint,
                                    (uv_handle_t *)&l->sighup, (uv_handle_t *)&l->watchdog};

    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        if (handles[i]->data != NULL) /* else loop_new() did not come so far */
            uv_close(handles[i], NULL);
    }
}

static void close_rest(struct loop *l)
{
    uv_close((uv_handle_t *)&l->limit, NULL);
    uv_close((uv_handle_t *)&l->turn_end, NULL);
    uv_close((uv_handle_t *)&l->no_wait, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

size_t loop_free(struct loop **lp)
{
    struct loop *l = *lp;
    size_t foreign = 0, left;

    if (l == NULL)
        return 0;
    *lp = NULL;
    close_sources(l);
    finish_closing(l);
    while ((left = census(l).foreign) > 0 || uv_loop_alive(&l->uv)) {
        foreign += left;
        uv_walk(&l->uv, close_foreign, l);
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    }
    close_rest(l);
    must(uv_loop_close(&l->uv) == 0);
    l->magic = 0;
    free(l);
    return foreign;
}
