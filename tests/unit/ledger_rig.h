/* ledger_rig: a ledger on a pool on a loop, and answers that can be waited for. Include after
 * cmocka.h. A header alone, as pg_rig.h is. */
#ifndef TESTS_UNIT_LEDGER_RIG_H
#define TESTS_UNIT_LEDGER_RIG_H

#include "queue/ledger.h"
#include "tests/unit/pg_rig.h"
#include "tests/unit/servers.h"

struct ledger_rig {
    struct rig rig;
    struct ledger *ledger;
    bool ledger_closed;
};

struct record {
    unsigned calls;
    enum err err;
    bool applied;
};

static inline void ledger_rig_on_closed(void *arg)
{
    ((struct ledger_rig *)arg)->ledger_closed = true;
}

static inline void record_on_answer(void *arg, enum err e, bool applied)
{
    struct record *r = arg;

    r->calls++;
    r->err = e;
    r->applied = applied;
}

static inline void ledger_rig_open(struct ledger_rig *lr, const char *url,
                                   const struct ledger_options *opt)
{
    struct fault why = {.text = ""};

    rig_open(&lr->rig, &(struct pg_options){.url = url, .application = "test"});
    lr->ledger_closed = false;
    if (ledger_new(&lr->rig.loop, lr->rig.pg, opt, &lr->ledger, &why) != ERR_OK)
        fail_msg("%s", why.text);
}

static inline void ledger_rig_close_ledger(struct ledger_rig *lr)
{
    ledger_close(&lr->ledger, ledger_rig_on_closed, lr);
    assert_null(lr->ledger);
    while (!lr->ledger_closed)
        rig_turn(&lr->rig);
}

static inline void ledger_rig_close(struct ledger_rig *lr)
{
    if (lr->ledger != NULL)
        ledger_rig_close_ledger(lr);
    rig_close(&lr->rig);
}

static inline void ledger_rig_wait(struct ledger_rig *lr, const struct record *r)
{
    while (r->calls == 0)
        rig_turn(&lr->rig);
    assert_int_equal(r->calls, 1);
}

/* The id of that number: always the same, of 2026-11-23. */
static inline struct uuid numbered_id(uint32_t n)
{
    static const struct uuid base = {{0x01, 0xa2, 0x0b, 0x5c, 0x7d, 0x3e, 0x70, 0, 0x80}};
    struct uuid id = base;

    for (int i = 0; i < 4; i++)
        id.bytes[12 + i] = (uint8_t)(n >> (24 - 8 * i));
    return id;
}

static inline struct ledger_outcome outcome_of(uint32_t n, enum job_state state,
                                               uint32_t attempt)
{
    return (struct ledger_outcome){
        .id = numbered_id(n),
        .queue = "default",
        .type = "noop",
        .priority = JOB_PRIORITY_NORMAL,
        .state = state,
        .attempt = attempt,
        .max_attempts = 5,
        .enqueued_ms = 1795474800000,
        .started_ms = 1795474800000 + 1000 * attempt,
        .finished_ms = 1795474800500 + 1000 * attempt,
        .worker = "host:1:a",
        .error_text = SLICE_LIT(""),
        .item = SLICE_LIT("\x80"),
        .result_json = SLICE_LIT(""),
    };
}

static inline void record_start(struct ledger_rig *lr, const struct ledger_outcome *o,
                                struct record *r)
{
    *r = (struct record){.calls = 0};
    assert_int_equal(ledger_record(lr->ledger, o, record_on_answer, r), ERR_OK);
    assert_int_equal(r->calls, 0);
}

static inline struct record record_and_wait(struct ledger_rig *lr,
                                            const struct ledger_outcome *o)
{
    struct record r;

    record_start(lr, o, &r);
    ledger_rig_wait(lr, &r);
    return r;
}

static inline void record_applied(struct ledger_rig *lr, const struct ledger_outcome *o)
{
    struct record r = record_and_wait(lr, o);

    assert_int_equal(r.err, ERR_OK);
    assert_true(r.applied);
}

static inline void assert_answer(const struct pgserver *s, const char *sql, const char *want)
{
    char *got = pgserver_ask(s, sql);

    if (strcmp(got, want) != 0)
        fail_msg("%s\n  gives: %s\n  want:  %s", sql, got, want);
    free(got);
}

/* A migrated server, for the group. */
static inline struct pgserver *ledger_server_new(void)
{
    struct pgserver *s = pgserver_new();
    struct fault why = {.text = ""};

    if (ledger_migrate(pgserver_url(s), NULL, NULL, &why) != ERR_OK)
        servers_die("%s", why.text);
    return s;
}

#endif
