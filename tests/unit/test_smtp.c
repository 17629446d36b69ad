#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "shared/smtp_dialogue.h"
#include "tests/unit/http_world.h"

static const char *const two[] = {"a@example.com", "b@example.com"};

/* What the relay answers; NULL: as a good one does. "" says nothing; a leading '!' hangs up after. */
struct manners {
    const char *greeting, *ehlo, *auth, *mail, *rcpt, *data, *dot, *rset;
    bool stale; /* hangs up when a second mail begins on one connection */
};

static struct manners manners;

enum { MAILS = 0xff, IN_MESSAGE = 0x100 }; /* script_conn.step */

static void answer(struct script_conn *c, const char *own, const char *good)
{
    const char *say = own != NULL ? own : good;

    script_say(c, say[0] == '!' ? say + 1 : say);
    if (say[0] == '!')
        script_hang_up(c);
}

static void on_accepted(struct script_conn *c)
{
    answer(c, manners.greeting, "220-relay.test ESMTP\r\n220 ready\r\n");
}

static void obey(struct script_conn *c, struct slice line)
{
    if (slice_starts(line, "EHLO "))
        answer(c, manners.ehlo, "250-relay.test\r\n250 SIZE 1000\r\n");
    else if (slice_starts(line, "HELO "))
        answer(c, manners.ehlo, "250 relay.test\r\n");
    else if (slice_starts(line, "AUTH "))
        answer(c, manners.auth, "235 2.7.0 welcome\r\n");
    else if (slice_starts(line, "MAIL ") && manners.stale && (c->step++ & MAILS) > 0)
        script_hang_up(c);
    else if (slice_starts(line, "MAIL "))
        answer(c, manners.mail, "250 2.1.0 ok\r\n");
    else if (slice_starts(line, "RCPT "))
        answer(c, slice_starts(line, "RCPT TO:<b@") ? manners.rcpt : NULL, "250 2.1.5 ok\r\n");
    else if (slice_is(line, "DATA"))
        answer(c, manners.data, "354 go on\r\n");
    else if (slice_is(line, "RSET"))
        answer(c, manners.rset, "250 ok\r\n");
    else if (slice_is(line, "QUIT"))
        answer(c, NULL, "!221 bye\r\n");
    else
        answer(c, NULL, "500 what?\r\n");
}

static void on_received(struct script_conn *c)
{
    struct world *w = c->server->arg;
    struct buf line = {0};

    while (!c->closing && script_line(c, &line)) {
        struct slice text = buf_slice(&line);

        if (!slice_starts(text, "EHLO "))
            buf_addf(&w->heard, SLICE_FMT "|", SLICE_ARG(text));
        if ((c->step & IN_MESSAGE) == 0) {
            obey(c, text);
            c->step |= slice_is(text, "DATA") && manners.data == NULL ? IN_MESSAGE : 0;
        } else if (slice_is(text, ".")) {
            c->step &= ~IN_MESSAGE;
            answer(c, manners.dot, "250 2.0.0 queued as 1\r\n");
        }
    }
    buf_done(&line);
}

static void open_world_of(struct world *w, struct manners m, unsigned connections)
{
    manners = m;
    /* No allowance: the guard does not apply to a relay. */
    world_open(w, NULL, (struct http_client_options){.max_per_host = connections});
    world_serve(w, (struct script){.accepted = on_accepted, .received = on_received});
}

static void open_world(struct world *w, struct manners m)
{
    open_world_of(w, m, 2);
}

static enum err start_mail(struct world *w, struct smtp_mail mail, struct fault *why)
{
    char relay[64];
    enum err e;

    (void)snprintf(relay, sizeof relay, "smtp://127.0.0.1:%u", w->server.port);
    mail.relay = mail.relay == NULL ? relay : mail.relay;
    mail.from = mail.from == NULL ? "from@example.com" : mail.from;
    if (mail.to == NULL) {
        mail.to = two;
        mail.n_to = 2;
    }
    if (mail.message.ptr == NULL)
        mail.message = SLICE_LIT("Subject: x\r\n\r\n.hidden\r\nend");
    memset(&w->last, 0, sizeof w->last);
    w->inside_start = true;
    e = http_client_mail(w->client, &mail, world_on_answer, w, &w->running, why);
    w->inside_start = false;
    return e;
}

static void send_mail(struct world *w, struct smtp_mail mail)
{
    assert_int_equal(start_mail(w, mail, NULL), ERR_OK);
    world_wait(w);
}

#define GOOD_MAIL                                                                        \
    "MAIL FROM:<from@example.com>|RCPT TO:<a@example.com>|RCPT TO:<b@example.com>|DATA|" \
    "Subject: x||..hidden|end|.|"

static void a_mail_is_said_word_for_word_and_the_reply_comes_back(void **state)
{
    struct world w;
    char peer[32];

    (void)state;
    open_world(&w, (struct manners){0});
    send_mail(&w, (struct smtp_mail){0});
    assert_string_equal(w.last.why, "");
    assert_int_equal(w.last.status, 250);
    assert_string_equal(w.last.body, "250 2.0.0 queued as 1");
    assert_int_equal(w.last.retry_after_ms, -1);
    (void)snprintf(peer, sizeof peer, "127.0.0.1:%u", w.server.port);
    assert_string_equal(w.last.peer, peer);
    assert_string_equal(buf_cstr(&w.heard), GOOD_MAIL);
    world_close(&w);
}

static void mails_one_after_the_other_share_a_connection(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, (struct manners){0});
    for (int i = 0; i < 3; i++) {
        send_mail(&w, (struct smtp_mail){0});
        assert_int_equal(w.last.status, 250);
    }
    assert_int_equal(w.server.accepted, 1);
    assert_string_equal(buf_cstr(&w.heard), GOOD_MAIL GOOD_MAIL GOOD_MAIL);
    world_close(&w);
}

static void mails_at_once_stay_within_the_limit_of_connections(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, (struct manners){0});
    for (int i = 0; i < 7; i++)
        assert_int_equal(
            start_mail(&w, (struct smtp_mail){.message = SLICE_LIT("x\r\n")}, NULL), ERR_OK);
    while (w.running_answers < 7)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(w.last.status, 250);
    assert_in_range(w.server.accepted, 1, 2);
    world_close(&w);
}

static void a_refusal_comes_with_its_code_and_the_session_goes_on_where_it_can(void **state)
{
    static const struct {
        struct manners manners;
        long status;
        const char *body;
        unsigned connections; /* after a second mail, to a relay of good manners */
    } table[] = {
        {{.mail = "550 5.7.1 not you\r\n"}, 550, "550 5.7.1 not you", 1},
        {{.rcpt = "550-5.1.1 no such\r\n550 5.1.1 user\r\n"},
         550,
         "550-5.1.1 no such\n550 5.1.1 user",
         1},
        {{.rcpt = "451 4.7.1 later\r\n"}, 451, "451 4.7.1 later", 1},
        {{.rcpt = "552 full\r\n", .rset = "!"}, 552, "552 full", 2},
        {{.data = "554 5.5.1 no\r\n"}, 554, "554 5.5.1 no", 1},
        {{.dot = "550 5.7.1 spam\r\n"}, 550, "550 5.7.1 spam", 1},
        {{.dot = "421 4.3.2 closing\r\n"}, 421, "421 4.3.2 closing", 2},
        {{.mail = "!421 4.3.2 closing\r\n"}, 421, "421 4.3.2 closing", 2},
        {{.greeting = "421 too busy\r\n"}, 421, "421 too busy", 2},
        {{.greeting = "!554 no service\r\n"}, 554, "554 no service", 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;

        open_world_of(&w, table[i].manners, 1);
        send_mail(&w, (struct smtp_mail){0});
        if (w.last.status != table[i].status || strcmp(w.last.body, table[i].body) != 0)
            fail_msg("row %zu: %s, status %ld, \"%s\"", i, w.last.why, w.last.status,
                     w.last.body);
        manners = (struct manners){.rset = table[i].manners.rset}; /* it may still be said */
        send_mail(&w, (struct smtp_mail){0});
        assert_int_equal(w.last.status, 250);
        if (w.server.accepted != table[i].connections)
            fail_msg("row %zu: %u connections", i, w.server.accepted);
        world_close(&w);
    }
}

static void a_relay_that_misbehaves_ends_in_a_fault(void **state)
{
    static const struct {
        struct manners manners;
        uint32_t deadline_ms;
        enum err want;
    } table[] = {
        {{.greeting = ""}, 50, ERR_TIMEOUT},
        {{.ehlo = ""}, 50, ERR_TIMEOUT},
        {{.mail = ""}, 50, ERR_TIMEOUT},
        {{.rcpt = ""}, 50, ERR_TIMEOUT},
        {{.dot = ""}, 50, ERR_TIMEOUT},
        {{.dot = "250-never\r\n"}, 50, ERR_TIMEOUT},
        {{.greeting = "!"}, 0, ERR_UNREACHABLE},
        {{.mail = "!"}, 0, ERR_UNREACHABLE},
        {{.dot = "!"}, 0, ERR_UNREACHABLE},
        {{.mail = "hello\r\n"}, 0, ERR_UNREACHABLE},
        {{.mail = "250-x\r\n251 y\r\n"}, 0, ERR_UNREACHABLE},
        {{.mail = "354 go on\r\n"}, 0, ERR_UNREACHABLE},
        {{.data = "250 ok\r\n"}, 0, ERR_UNREACHABLE},
        {{.mail = "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"},
         0,
         ERR_UNREACHABLE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;

        open_world(&w, table[i].manners);
        send_mail(&w, (struct smtp_mail){.deadline_ms = table[i].deadline_ms});
        if (w.last.err != table[i].want || w.last.why[0] == '\0')
            fail_msg("row %zu: %s (%s), not %s", i, err_name(w.last.err), w.last.why,
                     err_name(table[i].want));
        world_close(&w);
        assert_int_equal(w.running_answers, 1);
    }
}

static void a_session_that_went_stale_is_replaced_unseen(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, (struct manners){.stale = true});
    for (int i = 0; i < 3; i++) {
        send_mail(&w, (struct smtp_mail){0});
        assert_int_equal(w.last.status, 250);
    }
    assert_int_equal(w.server.accepted, 3);
    world_close(&w);
}

static void a_password_is_sent_where_it_is_asked_for(void **state)
{
    static const char asks[] = "250-relay.test\r\n250 AUTH PLAIN GSSAPI\r\n";
    struct world w;

    (void)state;
    open_world(&w, (struct manners){.ehlo = asks});
    send_mail(&w, (struct smtp_mail){.user = "me@example.com", .password = "secret"});
    assert_int_equal(w.last.status, 250);
    assert_memory_equal(buf_cstr(&w.heard), "AUTH PLAIN AG1lQGV4YW1wbGUuY29tAHNlY3JldA==|", 44);
    world_close(&w);

    open_world(&w, (struct manners){.ehlo = asks, .auth = "535 5.7.8 wrong\r\n"});
    send_mail(&w, (struct smtp_mail){.user = "me@example.com", .password = "secret"});
    assert_int_equal(w.last.status, 535);
    assert_string_equal(w.last.body, "535 5.7.8 wrong");
    world_close(&w);
}

static void a_relay_without_starttls_gets_nothing_where_tls_is_required(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, (struct manners){0});
    send_mail(&w, (struct smtp_mail){.require_tls = true});
    assert_int_equal(w.last.err, ERR_REJECTED);
    assert_string_equal(buf_cstr(&w.heard), "");
    world_close(&w);
}

static void a_mail_that_cannot_be_said_is_refused_at_once(void **state)
{
    static const char *const bad_to[] = {"a@example.com>\r\nRCPT TO:<x@example.com"};
    static const struct smtp_mail table[] = {
        {.relay = "http://127.0.0.1"},    {.relay = "smtp://user:secret@127.0.0.1"},
        {.from = "a b@example.com"},      {.from = "a@example.com>"},
        {.from = "\xc3\xa4@example.com"}, {.to = bad_to, .n_to = 1},
        {.to = bad_to, .n_to = 0},        {.message = {"a\nb\r\n", 5}},
        {.message = {"a\r\n.\n", 5}},     {.message = {"a\r.\r\n", 5}},
    };
    struct world w;

    (void)state;
    open_world(&w, (struct manners){0});
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fault why = {.text = ""};

        if (start_mail(&w, table[i], &why) != ERR_MALFORMED || why.text[0] == '\0')
            fail_msg("row %zu: %s", i, why.text);
        assert_null(strstr(why.text, "secret"));
    }
    world_close(&w);
    assert_int_equal(w.running_answers, 0);
}

/* --- ends ------------------------------------------------------------------------------------- */

static const char *cancel_at;
static struct world *cancel_in;

static void on_received_cancel(struct script_conn *c)
{
    if (memmem(c->in.data, c->in.len, cancel_at, strlen(cancel_at)) != NULL)
        http_client_cancel(cancel_in->running);
    else
        on_received(c);
}

static void a_cancel_is_answered_once_in_every_phase_of_a_mail(void **state)
{
    static const char *const phases[] = {"", "EHLO", "MAIL", "RCPT", "DATA", "Subject"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(phases); i++) {
        struct world w;

        manners = (struct manners){0};
        world_open(&w, NULL, (struct http_client_options){0});
        world_serve(&w,
                    (struct script){.accepted = on_accepted, .received = on_received_cancel});
        cancel_at = phases[i];
        cancel_in = &w;
        assert_int_equal(start_mail(&w, (struct smtp_mail){0}, NULL), ERR_OK);
        if (i == 0)
            http_client_cancel(w.running);
        world_wait(&w);
        assert_int_equal(w.last.err, ERR_CANCELED);
        world_close(&w);
        assert_int_equal(w.running_answers, 1);
    }
}

static void a_client_that_closes_cancels_mails_under_way_and_waiting(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, (struct manners){.rcpt = ""});
    for (int i = 0; i < 5; i++)
        assert_int_equal(start_mail(&w, (struct smtp_mail){0}, NULL), ERR_OK);
    while (w.heard.len == 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    world_close(&w);
    assert_int_equal(w.running_answers, 5);
    assert_int_equal(w.last.err, ERR_CANCELED);
}

static void a_big_message_arrives_whole(void **state)
{
    enum { LINES = 5000, WIDTH = 900 }; /* more than a socket takes at once */
    struct buf message = {0};
    char line[WIDTH + 3];
    struct world w;
    size_t got = 0;

    (void)state;
    memset(line, 'x', WIDTH);
    memcpy(line + WIDTH, "\r\n", 3);
    for (int i = 0; i < LINES; i++)
        buf_add_str(&message, line);
    open_world(&w, (struct manners){0});
    send_mail(&w, (struct smtp_mail){.message = buf_slice(&message)});
    assert_int_equal(w.last.status, 250);
    line[WIDTH] = '|';
    line[WIDTH + 1] = '\0';
    for (const char *at = buf_cstr(&w.heard); (at = strstr(at, line)) != NULL; at += WIDTH)
        got++;
    assert_int_equal(got, LINES);
    buf_done(&message);
    world_close(&w);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void replies_are_taken_whole_and_one_by_one(void **state)
{
    static const struct {
        const char *in;
        enum smtp_got want;
        int code;
        const char *text, *left;
    } table[] = {
        {"250 ok\r\n", SMTP_GOT_REPLY, 250, "250 ok", ""},
        {"250\r\n", SMTP_GOT_REPLY, 250, "250", ""},
        {"250 ok\n354 go\r\n", SMTP_GOT_REPLY, 250, "250 ok", "354 go\r\n"},
        {"250-a\r\n250-\r\n250 b\r\nx", SMTP_GOT_REPLY, 250, "250-a\n250-\n250 b", "x"},
        {"", SMTP_GOT_NONE, 0, "", ""},
        {"250 ok", SMTP_GOT_NONE, 0, "", "250 ok"},
        {"250-a\r\n250", SMTP_GOT_NONE, 0, "250-a", "250-a\r\n250"},
        {"25 ok\r\n", SMTP_GOT_GARBAGE, 0, "", "25 ok\r\n"},
        {"2500 ok\r\n", SMTP_GOT_GARBAGE, 0, "", "2500 ok\r\n"},
        {"150 ok\r\n", SMTP_GOT_GARBAGE, 0, "", "150 ok\r\n"},
        {"650 ok\r\n", SMTP_GOT_GARBAGE, 0, "", "650 ok\r\n"},
        {"\r\n", SMTP_GOT_GARBAGE, 0, "", "\r\n"},
        {"250-a\r\n550 b\r\n", SMTP_GOT_GARBAGE, 0, "250-a", "250-a\r\n550 b\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf in = {0}, text = {0};
        int code = 0;

        buf_add_str(&in, table[i].in);
        if (smtp_reply_take(&in, &code, &text) != table[i].want || code != table[i].code ||
            strcmp(buf_cstr(&text), table[i].text) != 0 ||
            strcmp(buf_cstr(&in), table[i].left) != 0)
            fail_msg("row %zu: %d \"%s\" \"%s\"", i, code, buf_cstr(&text), buf_cstr(&in));
        buf_done(&in);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_taken_whole_and_one_by_one),
        cmocka_unit_test(a_mail_is_said_word_for_word_and_the_reply_comes_back),
        cmocka_unit_test(mails_one_after_the_other_share_a_connection),
        cmocka_unit_test(mails_at_once_stay_within_the_limit_of_connections),
        cmocka_unit_test(a_refusal_comes_with_its_code_and_the_session_goes_on_where_it_can),
        cmocka_unit_test(a_relay_that_misbehaves_ends_in_a_fault),
        cmocka_unit_test(a_session_that_went_stale_is_replaced_unseen),
        cmocka_unit_test(a_password_is_sent_where_it_is_asked_for),
        cmocka_unit_test(a_relay_without_starttls_gets_nothing_where_tls_is_required),
        cmocka_unit_test(a_mail_that_cannot_be_said_is_refused_at_once),
        cmocka_unit_test(a_cancel_is_answered_once_in_every_phase_of_a_mail),
        cmocka_unit_test(a_client_that_closes_cancels_mails_under_way_and_waiting),
        cmocka_unit_test(a_big_message_arrives_whole),
    };

    (void)alarm(120); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
