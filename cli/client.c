#include "cli/client.h"

#include <inttypes.h>

#include "queue/events.h"
#include "queue/ledger.h"
#include "shared/clock.h"
#include "shared/loop.h"
#include "shared/redis_sub.h"

struct client {
    struct call *call;
    struct loop *loop;
    uv_timer_t limit; /* of what is waited for */
    struct redis *redis;
    struct pg *pg;
    struct producer *producer;
    struct redis_sub *sub; /* with ear: what client_hear() listens to */
    struct redis_sub_channel *ear;
    struct queue_keys heard;
    struct uuid heard_id;
    uint64_t asked_ms; /* when messages were asked for; 0: not yet */
    bool pausing;
    char where[256];                  /* Redis, without password */
    char redis_why[256], pg_why[256]; /* the last that was heard; "": up */
    const char
        *awaited; /* whose first word is waited for: redis_why, pg_why; NULL: neither's */
    bool answered;
    bool given_up;   /* the connections are closed, or will be when the producer is */
    enum err result; /* of what is waited for */
    enum err reason; /* for giving up */
    unsigned closing;
};

/* --- the end --------------------------------------------------------------------------------- */

static void on_part_closed(void *arg)
{
    struct client *c = arg;

    c->closing--;
}

static void close_sub(struct client *c)
{
    if (c->sub == NULL)
        return;
    redis_sub_remove(&c->ear);
    c->closing++;
    redis_sub_close(&c->sub, on_part_closed, c);
}

static void close_connections(struct client *c)
{
    close_sub(c);
    if (c->redis != NULL) {
        c->closing++;
        redis_close(&c->redis, on_part_closed, c);
    }
    if (c->pg != NULL) {
        c->closing++;
        pg_close(&c->pg, on_part_closed, c);
    }
}

static void turn(struct client *c)
{
    (void)uv_run(loop_uv(c->loop), UV_RUN_ONCE);
}

static void wait_closed(struct client *c)
{
    while (c->closing > 0)
        turn(c);
}

void client_producer_done(struct client *c)
{
    if (c->producer == NULL)
        return;
    c->closing++;
    producer_close(&c->producer, on_part_closed, c);
    wait_closed(c);
}

void client_close(struct client **p)
{
    struct client *c = *p;

    *p = NULL;
    if (c == NULL)
        return;
    client_producer_done(c); /* before redis, through which it sends */
    close_connections(c);
    wait_closed(c);
    uv_close((uv_handle_t *)&c->limit, NULL);
    must(loop_free(&c->loop) == 0);
    free(c);
}

enum cli_exit client_new(struct call *call, struct client **ret)
{
    struct client *c = calloc(1, sizeof *c);
    struct fault why;

    if (c == NULL)
        return call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    c->call = call;
    if (loop_new(&c->loop, &why) != ERR_OK) {
        free(c);
        return call_fail(call, CLI_FAILED, "%s", why.text);
    }
    must(uv_timer_init(loop_uv(c->loop), &c->limit) == 0);
    c->limit.data = c;
    *ret = c;
    return CLI_DONE;
}

/* --- waiting --------------------------------------------------------------------------------- */

void client_answered(struct client *c, enum err e)
{
    c->answered = true;
    c->result = e;
}

/* Closing the connections ends every operation. Not so what the producer sends: that ends by its
 * own deadline, and needs its connection until then. Who waits for a connection hears no more. */
static void give_up(struct client *c, enum err reason)
{
    if (c->given_up)
        return;
    c->given_up = true;
    c->reason = reason;
    if (c->producer == NULL)
        close_connections(c);
    if (c->awaited != NULL)
        client_answered(c, reason);
}

bool client_gave_up(const struct client *c)
{
    return c->given_up;
}

static void on_limit(uv_timer_t *t)
{
    give_up(t->data, ERR_TIMEOUT);
}

/* answered is taken back here, not before the operation is started: a connection that fails at
 * once tells so from inside its start. */
static enum err wait_answer(struct client *c)
{
    while (!c->answered) {
        if (loop_is_draining(c->loop))
            give_up(c, ERR_CANCELED);
        turn(c);
    }
    c->answered = false;
    (void)uv_timer_stop(&c->limit);
    return c->given_up ? c->reason : c->result;
}

enum err client_wait(struct client *c, enum err started)
{
    if (started != ERR_OK)
        return c->given_up ? c->reason : started;
    if (c->producer == NULL)
        must(uv_timer_start(&c->limit, on_limit, c->call->options->timeout_ms, 0) == 0);
    return wait_answer(c);
}

static void on_pause_over(uv_timer_t *t)
{
    client_answered(t->data, ERR_OK);
}

enum err client_pause(struct client *c, uint64_t ms)
{
    enum err e;

    must(uv_timer_start(&c->limit, on_pause_over, ms, 0) == 0);
    c->pausing = true;
    e = wait_answer(c);
    c->pausing = false;
    return e;
}

/* --- hearing --------------------------------------------------------------------------------- */

static void look_now(struct client *c)
{
    if (c->pausing)
        client_answered(c, ERR_OK);
}

static void on_heard_id(void *arg, const struct uuid *id)
{
    struct client *c = arg;

    if (uuid_eq(id, &c->heard_id))
        look_now(c);
}

static void on_heard(void *arg, struct slice message)
{
    events_read(message, on_heard_id, arg);
}

/* Messages may have passed before. */
static void on_fresh(void *arg)
{
    struct client *c = arg;

    c->asked_ms = 0;
    look_now(c);
}

static void on_asked(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply; /* the pauses end anyway */
}

bool client_ask_events(struct client *c)
{
    uint64_t now_ms = clock_now_ms();
    bool first = c->asked_ms == 0;

    if (c->sub == NULL || !redis_sub_is_fresh(c->ear))
        return false;
    if (first || now_ms - c->asked_ms >= EVENTS_ASK_MS)
        c->asked_ms = events_ask(c->redis, &c->heard, on_asked, c) == ERR_OK ? now_ms : 0;
    return !first &&
           c->asked_ms != 0; /* the look that follows the first question finds what it missed */
}

void client_hear(struct client *c, const char *queue, const struct uuid *id)
{
    char channel[QUEUE_KEY_SIZE];
    struct redis_sub_ear ear = {.on_message = on_heard, .on_fresh = on_fresh, .arg = c};

    if (keys_init(&c->heard, queue, NULL) != ERR_OK ||
        redis_sub_new(loop_uv(c->loop),
                      &(struct redis_sub_options){.url = c->call->options->redis_url,
                                                  .name = "millrace-cli-events"},
                      &c->sub, NULL) != ERR_OK)
        return;
    c->heard_id = *id;
    ear.channel = keys_events(&c->heard, channel);
    redis_sub_start(c->sub);
    if (redis_sub_add(c->sub, &ear, &c->ear) != ERR_OK)
        close_sub(c);
}

/* --- telling --------------------------------------------------------------------------------- */

static enum cli_exit failed(struct client *c, enum err e, const char *who, const char *why)
{
    uint64_t ms = c->call->options->timeout_ms;

    if (e == ERR_CANCELED)
        return call_fail(c->call, CLI_FAILED, "interrupted");
    if (e == ERR_TIMEOUT)
        return call_fail(c->call, CLI_UNREACHABLE,
                         "%s did not answer within %" PRIu64 " ms; --timeout gives it longer",
                         who, ms);
    if (e == ERR_BUSY)
        return call_fail(c->call, CLI_UNREACHABLE,
                         "%s cannot serve now: it is full, loading or read-only; its log "
                         "says more",
                         who);
    if (e == ERR_UNREACHABLE)
        return call_fail(c->call, CLI_UNREACHABLE, "the connection to %s was lost%s%s", who,
                         why[0] == '\0' ? "" : ": ", why);
    return call_fail(c->call, CLI_FAILED, "%s: %s", who, err_text(e));
}

static const char *redis_name(struct client *c, char dst[300])
{
    (void)snprintf(dst, 300, "Redis at %s", c->where);
    return dst;
}

enum cli_exit client_redis_failed(struct client *c, enum err e)
{
    char name[300];

    return failed(c, e, redis_name(c, name), c->redis_why);
}

enum cli_exit client_postgres_failed(struct client *c, enum err e)
{
    if (e == ERR_REJECTED)
        return call_fail(c->call, CLI_FAILED,
                         "PostgreSQL refused the question. Is its schema that of this "
                         "program? millrace migrate brings it there");
    return failed(c, e, "PostgreSQL", c->pg_why);
}

static enum cli_exit missing(struct client *c, const char *key, const char *flag)
{
    return call_fail(c->call, CLI_CONFIG,
                     "%s is not set: give %s, or MILLRACE_%s in the environment, or %s in the "
                     "--config file",
                     key, flag, key, key);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void hear(struct client *c, bool up, const char *why, char *dst, size_t cap)
{
    (void)snprintf(dst, cap, "%s", up ? "" : why);
    if (c->awaited == dst)
        client_answered(c, up ? ERR_OK : ERR_UNREACHABLE);
}

static void on_redis(void *arg, bool up, const char *why)
{
    struct client *c = arg;

    hear(c, up, why, c->redis_why, sizeof c->redis_why);
}

static void on_pg(void *arg, bool up, const char *why)
{
    struct client *c = arg;

    hear(c, up, why, c->pg_why, sizeof c->pg_why);
}

static enum err await_connection(struct client *c)
{
    enum err e = client_wait(c, ERR_OK);

    c->awaited = NULL;
    return e;
}

static enum cli_exit not_connected(struct client *c, enum err e, const char *who,
                                   const char *why, const char *key)
{
    size_t len = strlen(why);
    bool asks = len > 0 && why[len - 1] == '?'; /* libpq: "Is the server running ...?" */

    if (e != ERR_UNREACHABLE)
        return failed(c, e, who, why);
    return call_fail(c->call, CLI_UNREACHABLE,
                     "%s cannot be reached: %s%s MILLRACE_%s says where it is", who, why,
                     asks ? "" : ". Is it running?", key);
}

/* The connections' own deadlines: client_wait() has the word before them. */
static uint32_t slack_ms(const struct options *opt)
{
    return (uint32_t)opt->timeout_ms + 1000;
}

enum cli_exit client_redis(struct client *c, struct redis **ret)
{
    const struct options *opt = c->call->options;
    struct redis_options ro = {.url = opt->redis_url,
                               .name = "millrace-cli",
                               .connect_ms = slack_ms(opt),
                               .command_ms = slack_ms(opt)};
    char name[300];
    struct fault why;
    enum err e;

    if (opt->redis_url == NULL)
        return missing(c, "REDIS_URL", "--redis-url");
    if (redis_new(loop_uv(c->loop), &ro, &c->redis, &why) != ERR_OK)
        return call_fail(c->call, CLI_CONFIG, "REDIS_URL: %s", why.text);
    (void)snprintf(c->where, sizeof c->where, "%s", redis_where(c->redis));
    c->awaited = c->redis_why;
    redis_start(c->redis, on_redis, c);
    e = await_connection(c);
    if (e != ERR_OK)
        return not_connected(c, e, redis_name(c, name), c->redis_why, "REDIS_URL");
    *ret = c->redis;
    return CLI_DONE;
}

enum cli_exit client_postgres(struct client *c, struct pg **ret)
{
    const struct options *opt = c->call->options;
    struct pg_options po = {.url = opt->pg_url,
                            .application = "millrace",
                            .connections = 1,
                            .connect_ms = slack_ms(opt),
                            .query_ms = slack_ms(opt),
                            .unprepared = true};
    struct fault why;
    enum err e;

    if (opt->pg_url == NULL)
        return missing(c, "PG_URL", "--pg-url");
    if (pg_new(loop_uv(c->loop), &po, &c->pg, &why) != ERR_OK)
        return call_fail(c->call, CLI_CONFIG, "PG_URL: %s", why.text);
    c->awaited = c->pg_why;
    pg_start(c->pg, on_pg, c);
    e = await_connection(c);
    if (e != ERR_OK)
        return not_connected(c, e, "PostgreSQL", c->pg_why, "PG_URL");
    *ret = c->pg;
    return CLI_DONE;
}

struct pg *const *client_pg(const struct client *c)
{
    return &c->pg;
}

struct uv_loop_s *client_loop(const struct client *c)
{
    return loop_uv(c->loop);
}

enum cli_exit client_producer(struct client *c, size_t max_pending, struct producer **ret)
{
    const struct producer_options po = {.max_pending = max_pending,
                                        .deadline_ms = (uint32_t)c->call->options->timeout_ms,
                                        .caps = true};
    struct fault why;

    if (producer_new(loop_uv(c->loop), c->redis, &po, &c->producer, &why) != ERR_OK)
        return call_fail(c->call, CLI_FAILED, "%s", why.text);
    *ret = c->producer;
    return CLI_DONE;
}
