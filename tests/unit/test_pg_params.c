/* What the connection string says, and what goes to the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/pg_rig.h"
#include "tests/unit/servers.h"

static struct pgserver *server;

static struct pg_options options(unsigned connections)
{
    return (struct pg_options){.url = pgserver_url(server), .connections = connections};
}

static void the_application_is_named_unless_the_url_does(void **state)
{
    static const char ask[] = "SELECT current_setting('application_name') || ' ' || "
                              "current_setting('client_encoding')";
    struct pg_options opt = options(1);
    char url[512];
    struct rig r;

    (void)state;
    opt.application = "millrace-test";
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, ask).cell, "millrace-test UTF8");
    rig_close(&r);
    (void)snprintf(url, sizeof url, "%s&application_name=mine&client_encoding=LATIN1",
                   pgserver_url(server));
    opt.url = url;
    rig_open(&r, &opt);
    assert_string_equal(rig_ask(&r, NULL, ask).cell, "mine UTF8");
    rig_close(&r);
}

static void a_bad_url_is_refused_without_being_quoted(void **state)
{
    static const struct {
        const char *url, *want;
    } cases[] = {
        {"host=x passphrase", "***"},
        {"postgresql://u:s3cret@[::1/db", "***"},
        {"postgresql://u:s3cret%zz@h/db", "***"},
        {"postgresql://u:s3cret@h/db?nonsense=s3cret", "***"},
        {"host='s3cret", "unterminated"},
        {"host=a,b port=1,2,3 password=s3cret", "3 ports for 2 hosts"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pg_options opt = {.url = cases[i].url};
        struct fault why;
        struct pg *p = NULL;
        uv_loop_t loop;

        assert_int_equal(uv_loop_init(&loop), 0);
        assert_int_equal(pg_new(&loop, &opt, &p, &why), ERR_MALFORMED);
        assert_null(p);
        assert_int_equal(why.err, ERR_MALFORMED);
        assert_holds(why.text, cases[i].want);
        assert_null(strstr(why.text, "s3cret"));
        assert_null(strstr(why.text, "passphrase"));
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

struct heard {
    unsigned notices;
    char text[512];
};

static void hear(void *arg, const char *line, size_t len)
{
    struct heard *h = arg;

    if (memmem(line, len, "pg.notice", 9) == NULL)
        return;
    h->notices++;
    (void)snprintf(h->text, sizeof h->text, "%.*s", (int)len, line);
}

static void notices_go_to_the_log(void **state)
{
    struct heard heard = {0};
    struct pg_options opt = options(1);
    struct rig r;

    (void)state;
    log_setup("test", LOG_DEBUG, LOG_FORMAT_JSON);
    log_capture(hear, &heard);
    rig_open(&r, &opt);
    assert_int_equal(rig_ask(&r, NULL, "DO $$ BEGIN RAISE NOTICE E'hear\\nye'; END $$").err,
                     ERR_OK);
    rig_close(&r);
    log_capture(NULL, NULL);
    log_setup("test", LOG_OFF, LOG_FORMAT_JSON);
    assert_int_equal(heard.notices, 1);
    assert_holds(heard.text, "hear ye");
}

static int set_up(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF, LOG_FORMAT_JSON);
    server = pgserver_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_application_is_named_unless_the_url_does),
        cmocka_unit_test(a_bad_url_is_refused_without_being_quoted),
        cmocka_unit_test(notices_go_to_the_log),
    };

    if (!pgserver_installed()) {
        (void)puts("skipped: PostgreSQL is not installed");
        return 0;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
