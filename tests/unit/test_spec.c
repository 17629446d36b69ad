/* What each job type takes, and how it says what is wrong; images have a file of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/spec_rows.h"

/* --- the table ----------------------------------------------------------------------------------- */

static void every_type_is_found_by_its_name(void **state)
{
    size_t n = 0;
    const struct spec_type *all = spec_table(&n);

    (void)state;
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(spec_find(all[i].name), &all[i]);
        assert_true(job_name_is_valid(slice_str(all[i].name)));
        assert_true(job_name_is_valid(slice_str(all[i].default_queue)));
        assert_in_range(all[i].default_max_attempts, 1, JOB_ATTEMPTS_MAX);
        assert_in_range(all[i].default_timeout_ms, 1, JOB_TIMEOUT_MAX);
    }
    assert_string_equal(spec_find("image")->default_queue, "image");
    assert_string_equal(spec_find("image.info")->default_queue, "image");
    assert_string_equal(spec_find("webhook")->default_queue, "notify");
    assert_string_equal(spec_find("email")->default_queue, "notify");
    assert_string_equal(spec_find("noop")->default_queue, "default");
    assert_null(spec_find("Image"));
    assert_null(spec_find(""));
}

/* --- noop ---------------------------------------------------------------------------------------- */

static void noop_takes_what_it_says(void **state)
{
    static const char known[] =
        "is not a known field; known here: payload, work_ms, fail_attempts, fail_final, "
        "clock";
    static const struct row rows[] = {
        {"{}", NULL, NULL},
        {"{\"payload\": [1, {\"a\": null}], \"work_ms\": 60000, \"fail_attempts\": 100, "
         "\"fail_final\": true}",
         NULL, NULL},
        {"[]", "/args", "must be an object"},
        {"null", "/args", "must be an object"},
        {"{\"work_ms\": 60001}", "/args/work_ms", "must be an integer from 0 to 60000"},
        {"{\"work_ms\": -1}", "/args/work_ms", "must be an integer from 0 to 60000"},
        {"{\"work_ms\": 1.0}", "/args/work_ms", "must be an integer from 0 to 60000"},
        {"{\"work_ms\": \"1\"}", "/args/work_ms", "must be an integer from 0 to 60000"},
        {"{\"work_ms\": 4294967297}", "/args/work_ms", "must be an integer from 0 to 60000"},
        {"{\"fail_attempts\": 101}", "/args/fail_attempts", "must be an integer from 0 to 100"},
        {"{\"fail_final\": 1}", "/args/fail_final", "must be true or false"},
        {"{\"clock\": 1}", "/args/clock", "must be true or false"},
        {"{\"sleep\": 1}", "/args/sleep", known},
        {"{\"a/b~c\": 1}", "/args/a~1b~0c", known},
        {"{\"\": 1}", "/args/", known},
    };

    (void)state;
    check_rows("noop", rows, COUNT_OF(rows));
}

static void noop_is_read(void **state)
{
    struct spec_noop noop;
    struct doc d;

    (void)state;
    doc_open(&d,
             "{\"work_ms\": 7, \"fail_attempts\": 2, \"fail_final\": true, \"clock\": true}");
    assert_int_equal(spec_noop_parse(&d.root, "/args", &noop, NULL), ERR_OK);
    assert_int_equal(noop.work_ms, 7);
    assert_int_equal(noop.fail_attempts, 2);
    assert_true(noop.fail_final);
    assert_true(noop.clock);
    doc_close(&d);
}

static void a_long_field_is_cut_in_its_pointer(void **state)
{
    struct spec_fault told;
    struct buf json = {.len = 0};
    struct doc d;

    (void)state;
    buf_add_str(&json, "{\"");
    for (int i = 0; i < 100; i++)
        buf_add_str(&json, "é~");
    buf_add_str(&json, "\": 1}");
    doc_open(&d, buf_cstr(&json));
    assert_int_equal(spec_find("noop")->check(&d.root, "/args", &told), ERR_MALFORMED);
    assert_in_range(strlen(told.pointer), sizeof told.pointer - 6, sizeof told.pointer - 1);
    for (size_t i = strlen("/args/"); told.pointer[i] != '\0'; i += 2) {
        if (memcmp(told.pointer + i, "é", 2) != 0 && memcmp(told.pointer + i, "~0", 2) != 0)
            fail_msg("cut within a character or an escape: %s", told.pointer + i);
    }
    doc_close(&d);
    buf_done(&json);
}

static void a_key_that_is_twice_there_is_refused(void **state)
{
    msgpack_object_kv pairs[2];
    msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {2, pairs}};
    struct spec_fault told;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pairs[i].key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {7, "work_ms"}};
        pairs[i].val = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = i};
    }
    assert_int_equal(spec_find("noop")->check(&map, "/args", &told), ERR_MALFORMED);
    assert_string_equal(told.pointer, "/args/work_ms");
    assert_string_equal(told.text, "is given twice");
    pairs[0].key = pairs[0].val;
    assert_int_equal(spec_find("noop")->check(&map, "/args", &told), ERR_MALFORMED);
    assert_string_equal(told.text, "must have strings as keys");
}

/* --- webhook ------------------------------------------------------------------------------------- */

static void webhook_takes_what_it_says(void **state)
{
#define EVENT "must be words of A-Z, a-z, 0-9 and '_' put together by dots, as in job.finished"
#define NAME  "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', first a letter"
#define ODD   "must be a URL: spaces, quotes, \\ and bytes that are not ASCII are written as %XX"
    static const struct row rows[] = {
        {"{\"url\": \"https://example.com/a?b=@c#d\"}", NULL, NULL},
        {"{\"url\": \"HTTP://[::1]:8080\", \"body\": null, \"event\": \"image.done_2\"}", NULL,
         NULL},
        {"{}", "/args/url", "is required"},
        {"{\"url\": \"\"}", "/args/url", "must be a string of 1 to 2048 bytes"},
        {"{\"url\": 1}", "/args/url", "must be a string of 1 to 2048 bytes"},
        {"{\"url\": \"ftp://a/\"}", "/args/url", ABSOLUTE},
        {"{\"url\": \"//a/\"}", "/args/url", ABSOLUTE},
        {"{\"url\": \"http:/a/\"}", "/args/url", ABSOLUTE},
        {"{\"url\": \"a.com\"}", "/args/url", ABSOLUTE},
        {"{\"url\": \"http:\"}", "/args/url", ABSOLUTE},
        {"{\"url\": \"http://\"}", "/args/url", "must name a host"},
        {"{\"url\": \"http:///x\"}", "/args/url", "must name a host"},
        {"{\"url\": \"http://:80/\"}", "/args/url", "must name a host"},
        {"{\"url\": \"http://?x\"}", "/args/url", "must name a host"},
        {"{\"url\": \"http://u:p@a/\"}", "/args/url",
         "must not contain a user name or password"},
        {"{\"url\": \"http://a\\\\@b/\"}", "/args/url", ODD},
        {"{\"url\": \"http://a/ b\"}", "/args/url", ODD},
        {"{\"url\": \"http://a/\\r\\nx: y\"}", "/args/url", ODD},
        {"{\"url\": \"http://é/\"}", "/args/url", ODD},
        {"{\"url\": \"http://a\", \"event\": \"\"}", "/args/event",
         "must be a string of 1 to 128 bytes"},
        {"{\"url\": \"http://a\", \"event\": \"a..b\"}", "/args/event", EVENT},
        {"{\"url\": \"http://a\", \"event\": \"a.\"}", "/args/event", EVENT},
        {"{\"url\": \"http://a\", \"event\": \"a b\"}", "/args/event", EVENT},
        {"{\"url\": \"http://a\", \"secret\": \"A\"}", "/args/secret",
         "is not a known field; known here: url, body, event"},
        {"{\"url\": \"http://a\", \"method\": \"GET\"}", "/args/method",
         "is not a known field; known here: url, body, event"},
    };

    (void)state;
    check_rows("webhook", rows, COUNT_OF(rows));
}

static void webhook_is_read(void **state)
{
    struct spec_webhook hook;
    struct doc d;

    (void)state;
    doc_open(&d, "{\"url\": \"http://a\", \"body\": null}");
    assert_int_equal(spec_webhook_parse(&d.root, "/args", &hook, NULL), ERR_OK);
    assert_true(slice_is(hook.url, "http://a"));
    assert_non_null(hook.body);
    assert_int_equal(hook.body->type, MSGPACK_OBJECT_NIL);
    assert_true(slice_is(hook.event, "job.finished"));
    doc_close(&d);
    doc_open(&d, "{\"url\": \"http://a\", \"event\": \"x\"}");
    assert_int_equal(spec_webhook_parse(&d.root, "/args", &hook, NULL), ERR_OK);
    assert_null(hook.body);
    assert_true(slice_is(hook.event, "x"));
    doc_close(&d);
}

/* --- email --------------------------------------------------------------------------------------- */

static void email_takes_what_it_says(void **state)
{
#define ADDRESS "must be an e-mail address, as in someone@example.com"
#define REST    ", \"subject\": \"s\", \"text\": \"t\"}"
    static const struct row rows[] = {
        {"{\"to\": \"a@b\"" REST, NULL, NULL},
        {"{\"to\": [\"a.b+c@example.com\", \"x@y.z\"], \"html\": \"<p>\", \"from\": \"f@g.h\", "
         "\"reply_to\": \"r@s.t\"" REST,
         NULL, NULL},
        {"{\"subject\": \"s\", \"text\": \"t\"}", "/args/to", "is required"},
        {"{\"to\": \"a@b\", \"text\": \"t\"}", "/args/subject", "is required"},
        {"{\"to\": \"a@b\", \"subject\": \"s\"}", "/args", "must have text or html"},
        {"{\"to\": []" REST, "/args/to", "must be an array of 1 to 50 items"},
        {"{\"to\": 1" REST, "/args/to", "must be an array of 1 to 50 items"},
        {"{\"to\": [\"a@b\", \"c\"]" REST, "/args/to/1", ADDRESS},
        {"{\"to\": [\"a@b\", 7]" REST, "/args/to/1", ADDRESS},
        {"{\"to\": \"\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"@b\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b@c\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b.\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b..c\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@-b.c\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \".a@b\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a..b@c\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a b@c\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b\\r\\nBcc: c@d\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"A <a@b>\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b,c@d\"" REST, "/args/to", ADDRESS},
        {"{\"to\": \"a@b\", \"from\": \"x\"" REST, "/args/from", ADDRESS},
        {"{\"to\": \"a@b\", \"reply_to\": null" REST, "/args/reply_to", ADDRESS},
        {"{\"to\": \"a@b\", \"subject\": \"a\\nb\", \"text\": \"t\"}", "/args/subject",
         "must not contain control characters or line ends"},
        {"{\"to\": \"a@b\", \"subject\": \"\", \"text\": \"t\"}", "/args/subject",
         "must be a string of 1 to 900 bytes"},
        {"{\"to\": \"a@b\", \"subject\": \"s\", \"text\": \"\"}", "/args/text",
         "must be a string of 1 to 262144 bytes"},
        {"{\"to\": \"a@b\", \"cc\": \"c@d\"" REST, "/args/cc",
         "is not a known field; known here: to, subject, text, html, from, reply_to"},
    };

    (void)state;
    check_rows("email", rows, COUNT_OF(rows));
}

static void add_addresses(struct buf *json, int n)
{
    buf_clear(json);
    buf_add_str(json, "{\"to\": [");
    for (int i = 0; i < n; i++)
        buf_addf(json, "%s\"a%d@b.c\"", i > 0 ? ", " : "", i);
    buf_add_str(json, "]" REST);
}

static void email_goes_to_fifty_at_most(void **state)
{
    struct buf json = {.len = 0};
    struct spec_email mail;
    struct doc d;

    (void)state;
    add_addresses(&json, SPEC_EMAIL_TO_MAX);
    doc_open(&d, buf_cstr(&json));
    assert_int_equal(spec_email_parse(&d.root, "/args", &mail, NULL), ERR_OK);
    assert_int_equal(mail.n_to, SPEC_EMAIL_TO_MAX);
    assert_true(slice_is(mail.to[SPEC_EMAIL_TO_MAX - 1], "a49@b.c"));
    assert_true(slice_is(mail.subject, "s") && slice_is(mail.text, "t"));
    assert_int_equal(mail.html.len + mail.from.len + mail.reply_to.len, 0);
    doc_close(&d);
    add_addresses(&json, SPEC_EMAIL_TO_MAX + 1);
    doc_open(&d, buf_cstr(&json));
    assert_int_equal(spec_email_parse(&d.root, "/args", &mail, NULL), ERR_MALFORMED);
    doc_close(&d);
    buf_done(&json);
}

/* --- follow-ups ------------------------------------------------------------------------------------ */

static void follow_ups_follow_the_rules(void **state)
{
#define HOOK "{\"type\": \"webhook\", \"args\": {\"url\": \"http://a\"}"
    static const struct row rows[] = {
        {"[]", NULL, NULL},
        {"[" HOOK "}, " HOOK ", \"queue\": \"slow\", \"on\": \"always\"}]", NULL, NULL},
        {"{}", "/then", "must be an array of 0 to 16 items"},
        {"[1]", "/then/0", "must be an object"},
        {"[" HOOK "}, {\"type\": \"webhook\"}]", "/then/1/args", "is required"},
        {"[{\"args\": {}}]", "/then/0/type", "is required"},
        {"[{\"type\": \"fax\", \"args\": {}}]", "/then/0/type",
         "there is no job type \"fax\"; known here: image, webhook, email, noop, image.info"},
        {"[{\"type\": 1, \"args\": {}}]", "/then/0/type", NAME},
        {"[{\"args\": {\"url\": \"x\"}, \"type\": \"webhook\"}]", "/then/0/args/url", ABSOLUTE},
        {"[" HOOK ", \"on\": \"never\"}]", "/then/0/on",
         "must be one of success, failure, always"},
        {"[" HOOK ", \"queue\": \"A\"}]", "/then/0/queue", NAME},
        {"[" HOOK ", \"then\": [" HOOK ", \"delay_ms\": 5}]}]", NULL, NULL},
        {"[" HOOK ", \"then\": [1]}]", "/then/0/then/0", "must be an object"},
        {"[" HOOK ", \"unique\": 3}]", "/then/0/unique",
         "is not a known field; known here: type, args, queue, priority, key, max_attempts, "
         "timeout_ms, retry, delay_ms, expires_in_ms, then, on"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct spec_fault told = {"", ""};
        struct doc d;

        doc_open(&d, rows[i].json);
        check_told(rows[i].json, spec_follow_ups(&d.root, NULL, NULL, &told), &told, &rows[i]);
        assert_int_equal(spec_follow_ups(&d.root, NULL, NULL, NULL),
                         rows[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        doc_close(&d);
    }
}

static void follow_ups_are_read(void **state)
{
    struct spec_job ups[JOB_FOLLOW_MAX];
    struct buf json = {.len = 0};
    struct doc d;
    size_t n = 0;

    (void)state;
    doc_open(&d, "[" HOOK "}, " HOOK ", \"queue\": \"slow\", \"on\": \"always\"}, {\"type\": "
                 "\"noop\", \"args\": {}, \"on\": \"failure\"}]");
    assert_int_equal(spec_follow_ups(&d.root, ups, &n, NULL), ERR_OK);
    assert_int_equal(n, 3);
    assert_ptr_equal(ups[0].type, spec_find("webhook"));
    assert_string_equal(ups[0].queue, "notify");
    assert_int_equal(ups[0].on, FOLLOW_ON_SUCCESS);
    assert_int_equal(ups[0].args->type, MSGPACK_OBJECT_MAP);
    assert_string_equal(ups[1].queue, "slow");
    assert_int_equal(ups[1].on, FOLLOW_ALWAYS);
    assert_string_equal(ups[2].queue, "default");
    assert_int_equal(ups[2].on, FOLLOW_ON_FAILURE);
    doc_close(&d);
    buf_add_str(&json, "[");
    for (int i = 0; i <= JOB_FOLLOW_MAX; i++)
        buf_addf(&json, "%s" HOOK "}", i > 0 ? ", " : "");
    buf_add_str(&json, "]");
    doc_open(&d, buf_cstr(&json));
    assert_int_equal(spec_follow_ups(&d.root, ups, &n, NULL), ERR_MALFORMED);
    doc_close(&d);
    buf_done(&json);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_found_by_its_name),
        cmocka_unit_test(noop_takes_what_it_says),
        cmocka_unit_test(noop_is_read),
        cmocka_unit_test(a_long_field_is_cut_in_its_pointer),
        cmocka_unit_test(a_key_that_is_twice_there_is_refused),
        cmocka_unit_test(webhook_takes_what_it_says),
        cmocka_unit_test(webhook_is_read),
        cmocka_unit_test(email_takes_what_it_says),
        cmocka_unit_test(email_goes_to_fifty_at_most),
        cmocka_unit_test(follow_ups_follow_the_rules),
        cmocka_unit_test(follow_ups_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
