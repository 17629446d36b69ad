#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "tests/unit/http_world.h"

static const char loopback[] = "127.0.0.0/8,::1";

enum plan { PLAN_REPLY, PLAN_HANG_UP, PLAN_CUT, PLAN_SILENT, PLAN_CHUNKS, PLAN_HEADERS };

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/* The length of the first whole request in the buffer; 0: not there yet. */
static size_t whole_request(const struct buf *in)
{
    const char *end = in->len == 0 ? NULL : memmem(in->data, in->len, "\r\n\r\n", 4);
    const char *len = end == NULL ? NULL : strcasestr(in->data, "\r\nContent-Length: ");
    size_t n = end == NULL ? 0 : (size_t)(end - in->data) + 4;

    if (len != NULL && len < end)
        n += strtoul(len + 18, NULL, 10);
    return n > in->len ? 0 : n;
}

static void act(struct script_conn *c)
{
    struct world *w = c->server->arg;

    switch ((enum plan)w->plan) {
    case PLAN_REPLY:
        script_say(c, w->reply);
        break;
    case PLAN_HANG_UP:
        script_say(c, w->reply);
        script_hang_up(c);
        break;
    case PLAN_CUT:
        script_cut(c);
        break;
    case PLAN_SILENT:
        break;
    case PLAN_CHUNKS:
        script_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 200; i++)
            script_say(c, "10\r\n0123456789abcdef\r\n");
        break;
    case PLAN_HEADERS:
        script_say(c, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 5000; i++)
            script_say(c, "X-Header: 0123456789abcdef\r\n");
        break;
    }
}

static void on_received(struct script_conn *c)
{
    struct world *w = c->server->arg;
    size_t n;

    while (!c->closing && (n = whole_request(&c->in)) > 0) {
        buf_clear(&w->heard);
        buf_add(&w->heard, c->in.data, n);
        buf_consume(&c->in, n);
        act(c);
    }
}

static int setup(void **state)
{
    struct world *w = malloc(sizeof *w);

    must(w != NULL);
    world_open(w, loopback, (struct http_client_options){.max_reply_bytes = 1000});
    world_serve(w, (struct script){.received = on_received});
    w->reply = ok;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void an_answer_comes_whatever_its_status(void **state)
{
    static const struct {
        const char *reply;
        long status;
        const char *body;
        int64_t retry_after_ms;
    } table[] = {
        {ok, 200, "hello", -1},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", -1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200,
         "abc", -1},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302,
         "", -1},
        {"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone", 410, "gone", -1},
        {"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 503, "", 120000},
        {"HTTP/1.1 429 Slow\r\nretry-after:  1.5 \r\nContent-Length: 0\r\n\r\n", 429, "", 1500},
        {"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", 503, "", -1},
        {"HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
         "0\r\n\r\n",
         200, "", -1},
    };
    struct world *w = *state;
    char peer[32];

    (void)snprintf(peer, sizeof peer, "127.0.0.1:%u", w->server.port);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        w->reply = table[i].reply;
        world_get(w, 0);
        if (w->last.err != ERR_OK || w->last.status != table[i].status ||
            strcmp(w->last.body, table[i].body) != 0 ||
            w->last.retry_after_ms != table[i].retry_after_ms)
            fail_msg("%s: %s status %ld body \"%s\" retry %lld", table[i].reply, w->last.why,
                     w->last.status, w->last.body, (long long)w->last.retry_after_ms);
        assert_string_equal(w->last.peer, peer);
    }
    assert_int_equal(w->server.accepted, 1); /* one connection for all */
}

static void a_request_is_sent_as_it_was_given_and_nothing_is_added(void **state)
{
    struct world *w = *state;
    const struct http_header headers[] = {{"Content-Type", "application/json"},
                                          {"X-Empty", ""}};
    char url[128], want[512];

    world_url(w, "127.0.0.1", url);
    assert_int_equal(world_send(w,
                                &(struct http_request){.method = "POST",
                                                       .url = url,
                                                       .headers = headers,
                                                       .n_headers = 2,
                                                       .body = SLICE_LIT("{\"a\":\0}")},
                                NULL),
                     ERR_OK);
    world_wait(w);
    (void)snprintf(
        want, sizeof want,
        "POST /hook?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: test\r\nAccept: */*\r\n"
        "Content-Type: application/json\r\nX-Empty:\r\nContent-Length: 7\r\n\r\n{\"a\":",
        w->server.port);
    assert_string_equal(buf_cstr(&w->heard), want);
    assert_int_equal(w->heard.len, strlen(want) + 2); /* the body holds a NUL */
}

static void every_method_goes_out_under_its_name(void **state)
{
    static const struct {
        const char *method;
        struct slice body;
        bool has_length;
    } table[] = {
        {"GET", {NULL, 0}, false},   {"HEAD", {NULL, 0}, false},   {"DELETE", {NULL, 0}, false},
        {"POST", {NULL, 0}, true},   {"PUT", {NULL, 0}, true},     {"PUT", {"abc", 3}, true},
        {"PATCH", {"abc", 3}, true}, {"DELETE", {"abc", 3}, true},
    };
    struct world *w = *state;
    char url[128], start[32];

    world_url(w, "127.0.0.1", url);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct http_request req = {
            .method = table[i].method, .url = url, .body = table[i].body};

        assert_int_equal(world_send(w, &req, NULL), ERR_OK);
        world_wait(w);
        assert_int_equal(w->last.err, ERR_OK);
        (void)snprintf(start, sizeof start, "%s /hook?x=1 ", table[i].method);
        assert_memory_equal(buf_cstr(&w->heard), start, strlen(start));
        assert_true((strstr(buf_cstr(&w->heard), "Content-Length") != NULL) ==
                    table[i].has_length);
        assert_null(strstr(buf_cstr(&w->heard), "Content-Type"));
    }
}

static void a_name_is_reached_at_the_address_it_was_resolved_to(void **state)
{
    struct world *w = *state;
    char url[128];

    world_url(w, "localhost", url); /* may give ::1 too, where nobody listens */
    assert_int_equal(world_send(w, &(struct http_request){.method = "GET", .url = url}, NULL),
                     ERR_OK);
    world_wait(w);
    assert_string_equal(w->last.why, "");
    assert_int_equal(w->last.status, 200);
}

static void connections_to_one_host_stay_within_the_limit(void **state)
{
    struct world *w = *state;
    struct http_client *few = NULL;
    struct world *const keep = w;
    struct http_client *first = w->client;
    char url[128];

    assert_int_equal(
        http_client_new(&w->loop,
                        &(struct http_client_options){.guard = w->guard, .max_per_host = 2},
                        &few, NULL),
        ERR_OK);
    world_url(w, "127.0.0.1", url);
    for (int i = 0; i < 10; i++)
        assert_int_equal(http_client_send(few,
                                          &(struct http_request){.method = "GET", .url = url},
                                          world_on_answer, keep, NULL, NULL),
                         ERR_OK);
    while (w->running_answers < 10)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_true(w->server.accepted <= 2);
    http_client_close(&few, world_on_closed, w);
    while (!w->closed)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    w->closed = false;
    w->client = first;
}

/* --- failures --------------------------------------------------------------------------------- */

static void a_bad_peer_ends_in_a_fault(void **state)
{
    static const struct {
        enum plan plan;
        const char *reply;
        uint32_t deadline_ms;
        enum err want;
    } table[] = {
        {PLAN_SILENT, "", 50, ERR_TIMEOUT},
        {PLAN_REPLY, "HTTP/1.1 200 OK\r\nContent-Len", 50, ERR_TIMEOUT},
        {PLAN_REPLY, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234", 50, ERR_TIMEOUT},
        {PLAN_HANG_UP, "", 0, ERR_UNREACHABLE},
        {PLAN_HANG_UP, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234", 0, ERR_UNREACHABLE},
        {PLAN_HANG_UP, "\x80SSH-2.0-OpenSSH\r\n\r\n", 0, ERR_UNREACHABLE},
        {PLAN_CUT, "", 0, ERR_UNREACHABLE},
        {PLAN_CHUNKS, "", 0, ERR_TOO_BIG},
        {PLAN_HEADERS, "", 0, ERR_TOO_BIG},
        {PLAN_REPLY, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", 50, ERR_TIMEOUT},
    };
    struct world *w = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        w->plan = (int)table[i].plan;
        w->reply = table[i].reply;
        world_get(w, table[i].deadline_ms);
        if (w->last.err != table[i].want || w->last.why[0] == '\0' || w->last.body[0] != '\0')
            fail_msg("row %zu: %s (%s), not %s", i, err_name(w->last.err), w->last.why,
                     err_name(table[i].want));
    }
    w->plan = PLAN_REPLY; /* and after all that, it still works */
    w->reply = ok;
    world_get(w, 0);
    assert_int_equal(w->last.status, 200);
}

static void a_port_where_nobody_listens_is_unreachable(void **state)
{
    struct world *w = *state;
    char url[128];

    world_url(w, "127.0.0.1", url);
    script_server_close(&w->server);
    w->serving = false;
    while (uv_run(&w->loop, UV_RUN_NOWAIT) != 0)
        ;
    assert_int_equal(world_send(w, &(struct http_request){.method = "GET", .url = url}, NULL),
                     ERR_OK);
    world_wait(w);
    assert_int_equal(w->last.err, ERR_UNREACHABLE);
}

static void what_cannot_be_sent_is_refused_at_once_and_never_called_back(void **state)
{
    static const struct {
        const char *method, *url;
        struct http_header header;
    } table[] = {
        {"GET", "http://user@127.0.0.1/", {"X", "y"}},
        {"GET", "ftp://127.0.0.1/", {"X", "y"}},
        {"GET /", "http://127.0.0.1/", {"X", "y"}},
        {"CONNECT", "http://127.0.0.1/", {"X", "y"}},
        {"GET", "http://127.0.0.1/", {"X", "a\r\nY: b"}},
        {"GET", "http://127.0.0.1/", {"X", "a\nb"}},
        {"GET", "http://127.0.0.1/", {"X\r\nY", "b"}},
        {"GET", "http://127.0.0.1/", {"X:", "b"}},
        {"GET", "http://127.0.0.1/", {"", "b"}},
        {"GET", "http://127.0.0.1/", {"host", "b"}},
        {"GET", "http://127.0.0.1/", {"Content-Length", "5"}},
        {"GET", "http://127.0.0.1/", {"transfer-encoding", "chunked"}},
        {"GET", "http://127.0.0.1/", {"Proxy-Authorization", "b"}},
    };
    struct world *w = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fault why = {.text = ""};
        const struct http_request req = {.method = table[i].method,
                                         .url = table[i].url,
                                         .headers = &table[i].header,
                                         .n_headers = 1};

        if (world_send(w, &req, &why) != ERR_MALFORMED || why.text[0] == '\0')
            fail_msg("row %zu: %s", i, why.text);
    }
    while (uv_run(&w->loop, UV_RUN_NOWAIT) != 0 && w->loop.active_reqs.count > 0)
        ;
    assert_int_equal(w->running_answers, 0);
}

/* --- sinks ------------------------------------------------------------------------------------ */

struct sunk {
    char body[512];
    size_t len;
    enum err answer; /* what the sink says to each piece */
};

static enum err swallow(void *arg, struct slice piece, struct fault *reterr)
{
    struct sunk *s = arg;

    assert_true(piece.len <= sizeof s->body - 1 - s->len);
    memcpy(s->body + s->len, piece.ptr, piece.len);
    s->len += piece.len;
    s->body[s->len] = '\0';
    return s->answer == ERR_OK ? ERR_OK : fault_set(reterr, s->answer, 28, "no space");
}

static void a_sink_takes_the_bodies_of_good_answers_alone(void **state)
{
    static const struct {
        const char *reply, *sunk;
        enum err answer, want;
        long status;
    } table[] = {
        {ok, "hello", ERR_OK, ERR_OK, 200},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc",
         ERR_OK, ERR_OK, 200},
        {"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nsorry", "", ERR_OK, ERR_OK, 404},
        {"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", "12345678", ERR_OK, ERR_OK,
         200},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", "", ERR_OK, ERR_TOO_BIG, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", "", ERR_OK, ERR_TOO_BIG, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", "",
         ERR_OK, ERR_TOO_BIG, 0},
        {ok, "hello", ERR_IO, ERR_IO, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234", "1234", ERR_OK, ERR_TIMEOUT, 0},
    };
    struct world *w = *state;
    char url[128];

    world_url(w, "127.0.0.1", url);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct sunk s = {.answer = table[i].answer};
        const struct http_request req = {.method = "GET",
                                         .url = url,
                                         .deadline_ms = 200,
                                         .sink = {.take = swallow, .arg = &s, .max_bytes = 8}};

        w->reply = table[i].reply;
        assert_int_equal(world_send(w, &req, NULL), ERR_OK);
        world_wait(w);
        if (w->last.err != table[i].want || w->last.status != table[i].status ||
            strcmp(s.body, table[i].sunk) != 0 || w->last.body[0] != '\0')
            fail_msg("row %zu: %s (%s) status %ld, sunk \"%s\"", i, err_name(w->last.err),
                     w->last.why, w->last.status, s.body);
    }
}

static void a_long_page_of_an_error_is_cut_off_and_its_status_stands(void **state)
{
    struct world *w = *state;
    AUTO(buf_done) struct buf reply = {0};
    struct sunk s = {.answer = ERR_OK};
    char url[128];

    buf_add_str(&reply,
                "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 200; i++)
        buf_add_str(&reply, "0123456789");
    w->reply = buf_cstr(&reply);
    world_url(w, "127.0.0.1", url);
    assert_int_equal(
        world_send(w,
                   &(struct http_request){.method = "GET",
                                          .url = url,
                                          .sink = {.take = swallow, .arg = &s, .max_bytes = 8}},
                   NULL),
        ERR_OK);
    world_wait(w);
    assert_int_equal(w->last.err, ERR_OK);
    assert_int_equal(w->last.status, 503);
    assert_int_equal(w->last.retry_after_ms, 7000);
    assert_int_equal(s.len, 0);
}

static void a_peer_below_the_least_rate_is_late(void **state)
{
    struct world *w = *state;
    char url[128];

    w->reply = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234";
    world_url(w, "127.0.0.1", url);
    assert_int_equal(world_send(w,
                                &(struct http_request){.method = "GET",
                                                       .url = url,
                                                       .deadline_ms = 100000,
                                                       .min_rate = 1000,
                                                       .stall_ms = 1000},
                                NULL),
                     ERR_OK);
    world_wait(w);
    assert_int_equal(w->last.err, ERR_TIMEOUT);
}

static void a_redirect_is_told_and_not_followed(void **state)
{
    struct world *w = *state;
    char reply[256], here[64];
    const struct {
        const char *field, *want;
    } table[] = {
        {"Location: /other?a=b\r\n", here},
        {"Location: https://example.com/x\r\n", "https://example.com/x"},
        {"", ""},
    };

    (void)snprintf(here, sizeof here, "http://127.0.0.1:%u/other?a=b", w->server.port);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)snprintf(reply, sizeof reply, "HTTP/1.1 302 Found\r\n%sContent-Length: 0\r\n\r\n",
                       table[i].field);
        w->reply = reply;
        world_get(w, 0);
        assert_int_equal(w->last.status, 302);
        assert_string_equal(w->last.location, table[i].want);
    }
}

/* --- the guard -------------------------------------------------------------------------------- */

static void without_an_allowance_no_spelling_reaches_loopback(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",     "[::1]",       "localhost",
                                        "2130706433",    "0x7f.1",      "0177.0.0.1",
                                        "127.1",         "%31%32%37.1", "[::ffff:127.0.0.1]",
                                        "[::127.0.0.1]", "localhost."};
    struct world strict;

    (void)state;
    world_open(&strict, NULL, (struct http_client_options){0});
    world_serve(&strict, (struct script){.received = on_received});
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        char url[128];

        world_url(&strict, hosts[i], url);
        assert_int_equal(
            world_send(&strict, &(struct http_request){.method = "GET", .url = url}, NULL),
            ERR_OK);
        world_wait(&strict);
        if (strict.last.err != ERR_FORBIDDEN || strict.last.why[0] == '\0')
            fail_msg("%s: %s (%s)", hosts[i], err_name(strict.last.err), strict.last.why);
    }
    assert_int_equal(strict.server.accepted, 0);
    world_close(&strict);
}

/* --- ends ------------------------------------------------------------------------------------- */

enum phase { AT_ONCE, ACCEPTED, ASKED, IN_BODY, PHASES };

struct cutter {
    struct world *w;
    enum phase phase;
};

static struct cutter cutter;

static void cut_accepted(struct script_conn *c)
{
    (void)c;
    if (cutter.phase == ACCEPTED)
        http_client_cancel(cutter.w->running);
}

static void on_turn(uv_timer_t *timer)
{
    http_client_cancel(cutter.w->running);
    uv_close((uv_handle_t *)timer, NULL);
}

static void cut_received(struct script_conn *c)
{
    static uv_timer_t later;

    if (cutter.phase == ASKED)
        http_client_cancel(cutter.w->running);
    if (cutter.phase != IN_BODY)
        return;
    script_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234");
    (void)uv_timer_init(&cutter.w->loop, &later);
    (void)uv_timer_start(&later, on_turn, 20, 0);
}

static void a_cancel_is_answered_once_in_every_phase(void **state)
{
    (void)state;
    for (int phase = AT_ONCE; phase < PHASES; phase++) {
        struct world w;
        char url[128];

        world_open(&w, loopback, (struct http_client_options){0});
        world_serve(&w, (struct script){.accepted = cut_accepted, .received = cut_received});
        cutter = (struct cutter){.w = &w, .phase = (enum phase)phase};
        world_url(&w, "127.0.0.1", url);
        assert_int_equal(
            world_send(&w, &(struct http_request){.method = "GET", .url = url}, NULL), ERR_OK);
        if (phase == AT_ONCE) {
            http_client_cancel(w.running);
            http_client_cancel(w.running);
            assert_false(w.last.done);
        }
        world_wait(&w);
        assert_int_equal(w.last.err, ERR_CANCELED);
        world_close(&w);
        assert_int_equal(w.running_answers, 1);
    }
}

/* The resolver's threads are all taken until the semaphore is posted. */
enum { THREADS = 4 };
static uv_sem_t gate;
static int passed;

static void wait_at_gate(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&gate);
}

static void gate_passed(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
    passed++;
}

static void the_deadline_covers_a_slow_resolver(void **state)
{
    struct world *w = *state;
    uv_work_t work[THREADS];

    assert_int_equal(uv_sem_init(&gate, 0), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_queue_work(&w->loop, &work[i], wait_at_gate, gate_passed), 0);
    world_get(w, 20);
    assert_int_equal(w->last.err, ERR_TIMEOUT);
    for (int i = 0; i < THREADS; i++)
        uv_sem_post(&gate);
    while (passed < THREADS)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    uv_sem_destroy(&gate);
    world_get(w, 0);
    assert_int_equal(w->last.status, 200);
}

static void a_client_that_closes_cancels_all_that_runs(void **state)
{
    struct world w;
    char url[128];

    (void)state;
    world_open(&w, loopback, (struct http_client_options){.max_per_host = 2});
    world_serve(&w, (struct script){.received = on_received});
    w.plan = PLAN_SILENT;
    world_url(&w, "127.0.0.1", url);
    for (int i = 0; i < 5; i++) /* two are asked, the others wait for a connection */
        assert_int_equal(
            world_send(&w, &(struct http_request){.method = "GET", .url = url}, NULL), ERR_OK);
    while (w.heard.len == 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(world_send(&w, &(struct http_request){.method = "GET", .url = url}, NULL),
                     ERR_OK);
    world_close(&w); /* the last one is being resolved */
    assert_int_equal(w.running_answers, 6);
    assert_int_equal(w.last.err, ERR_CANCELED);
}

static void ask_again_then_close(void *arg, enum err e, const struct http_answer *a,
                                 const struct fault *why)
{
    struct world *w = arg;
    char url[128];

    (void)why;
    assert_int_equal(e, ERR_OK);
    assert_int_equal(a->status, 200);
    world_url(w, "127.0.0.1", url);
    if (++w->running_answers < 3) {
        assert_int_equal(http_client_send(w->client,
                                          &(struct http_request){.method = "GET", .url = url},
                                          ask_again_then_close, w, NULL, NULL),
                         ERR_OK);
        return;
    }
    http_client_close(&w->client, world_on_closed, w);
}

static void an_answer_may_start_the_next_request_or_close_the_client(void **state)
{
    struct world *w = *state;
    char url[128];

    world_url(w, "127.0.0.1", url);
    assert_int_equal(http_client_send(w->client,
                                      &(struct http_request){.method = "GET", .url = url},
                                      ask_again_then_close, w, NULL, NULL),
                     ERR_OK);
    while (!w->closed)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->running_answers, 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_comes_whatever_its_status),
        T(a_request_is_sent_as_it_was_given_and_nothing_is_added),
        T(every_method_goes_out_under_its_name),
        T(a_name_is_reached_at_the_address_it_was_resolved_to),
        T(connections_to_one_host_stay_within_the_limit),
        T(a_bad_peer_ends_in_a_fault),
        T(a_port_where_nobody_listens_is_unreachable),
        T(what_cannot_be_sent_is_refused_at_once_and_never_called_back),
        T(a_sink_takes_the_bodies_of_good_answers_alone),
        T(a_long_page_of_an_error_is_cut_off_and_its_status_stands),
        T(a_peer_below_the_least_rate_is_late),
        T(a_redirect_is_told_and_not_followed),
        cmocka_unit_test(without_an_allowance_no_spelling_reaches_loopback),
        cmocka_unit_test(a_cancel_is_answered_once_in_every_phase),
        T(the_deadline_covers_a_slow_resolver),
        cmocka_unit_test(a_client_that_closes_cancels_all_that_runs),
        T(an_answer_may_start_the_next_request_or_close_the_client),
    };

    (void)alarm(120); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
