/* What each job type takes, and how it says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/spec.h"
#include "shared/json.h"

/* A JSON text as a msgpack object. */
struct doc {
    struct buf bytes;
    msgpack_zone zone;
    msgpack_object root;
};

static void doc_open(struct doc *d, const char *json)
{
    struct fault why = {.text = ""};

    memset(d, 0, sizeof *d);
    if (json_to_msgpack(slice_str(json), 16, &d->bytes, &why) != ERR_OK)
        fail_msg("%s: %s", json, why.text);
    assert_true(msgpack_zone_init(&d->zone, 4096));
    if (mp_parse(buf_slice(&d->bytes), &MP_LIMITS_DEFAULT, &d->zone, &d->root, &why) != ERR_OK)
        fail_msg("%s: %s", json, why.text);
}

static void doc_close(struct doc *d)
{
    msgpack_zone_destroy(&d->zone);
    buf_done(&d->bytes);
}

struct row {
    const char *json;
    const char *pointer, *text; /* NULL: it is right */
};

static void check_told(const char *json, enum err e, const struct spec_fault *told,
                       const struct row *want)
{
    if (want->pointer == NULL) {
        if (e != ERR_OK)
            fail_msg("%s\n  refused: %s %s", json, told->pointer, told->text);
        return;
    }
    if (e != ERR_MALFORMED || strcmp(told->pointer, want->pointer) != 0 ||
        strcmp(told->text, want->text) != 0)
        fail_msg("%s\n  told: %s %s\n  want: %s %s", json, told->pointer, told->text,
                 want->pointer, want->text);
}

static void check_rows(const char *type, const struct row *rows, size_t n)
{
    const struct spec_type *spec = spec_find(type);

    assert_non_null(spec);
    for (size_t i = 0; i < n; i++) {
        struct spec_fault told = {"", ""};
        struct doc d;

        doc_open(&d, rows[i].json);
        check_told(rows[i].json, spec->check(&d.root, "/args", &told), &told, &rows[i]);
        assert_int_equal(spec->check(&d.root, "/args", NULL),
                         rows[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        doc_close(&d);
    }
}

/* --- the table ----------------------------------------------------------------------------------- */

static void every_type_is_found_by_its_name(void **state)
{
    size_t n = 0;
    const struct spec_type *all = spec_table(&n);

    (void)state;
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(spec_find(all[i].name), &all[i]);
        assert_true(job_name_is_valid(slice_str(all[i].name)));
        assert_true(job_name_is_valid(slice_str(all[i].default_queue)));
        assert_in_range(all[i].default_max_attempts, 1, JOB_ATTEMPTS_MAX);
        assert_in_range(all[i].default_timeout_ms, 1, JOB_TIMEOUT_MAX);
    }
    assert_string_equal(spec_find("image")->default_queue, "image");
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
        "is not a known field; known here: payload, work_ms, fail_attempts, fail_final";
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
    doc_open(&d, "{\"work_ms\": 7, \"fail_attempts\": 2, \"fail_final\": true}");
    assert_int_equal(spec_noop_parse(&d.root, "/args", &noop, NULL), ERR_OK);
    assert_int_equal(noop.work_ms, 7);
    assert_int_equal(noop.fail_attempts, 2);
    assert_true(noop.fail_final);
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
#define ABSOLUTE "must be an absolute http or https URL"
#define EVENT    "must be words of A-Z, a-z, 0-9 and '_' put together by dots, as in job.finished"
#define NAME     "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', first a letter"
#define ODD      "must be a URL: spaces, quotes, \\ and bytes that are not ASCII are written as %XX"
    static const struct row rows[] = {
        {"{\"url\": \"https://example.com/a?b=@c#d\"}", NULL, NULL},
        {"{\"url\": \"HTTP://[::1]:8080\", \"body\": null, \"event\": \"image.done_2\", "
         "\"secret\": \"main\"}",
         NULL, NULL},
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
        {"{\"url\": \"http://a\", \"secret\": \"A\"}", "/args/secret", NAME},
        {"{\"url\": \"http://a\", \"method\": \"GET\"}", "/args/method",
         "is not a known field; known here: url, body, event, secret"},
    };

    (void)state;
    check_rows("webhook", rows, COUNT_OF(rows));
}

static void webhook_is_read(void **state)
{
    struct spec_webhook hook;
    struct doc d;

    (void)state;
    doc_open(&d, "{\"url\": \"http://a\", \"body\": null, \"secret\": \"main\"}");
    assert_int_equal(spec_webhook_parse(&d.root, "/args", &hook, NULL), ERR_OK);
    assert_true(slice_is(hook.url, "http://a"));
    assert_non_null(hook.body);
    assert_int_equal(hook.body->type, MSGPACK_OBJECT_NIL);
    assert_true(slice_is(hook.event, "job.finished"));
    assert_true(slice_is(hook.secret, "main"));
    doc_close(&d);
    doc_open(&d, "{\"url\": \"http://a\", \"event\": \"x\"}");
    assert_int_equal(spec_webhook_parse(&d.root, "/args", &hook, NULL), ERR_OK);
    assert_null(hook.body);
    assert_true(slice_is(hook.event, "x"));
    assert_int_equal(hook.secret.len, 0);
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

/* --- image --------------------------------------------------------------------------------------- */

#define SOURCE         "{\"source\": {\"url\": \"http://a/b\"}, \"outputs\": "
#define UPLOAD         "019a0b5c-7d3e-7abc-8def-0123456789ab"
#define OPS(ops)       SOURCE "[{\"name\": \"a\", \"ops\": " ops "}]}"
#define RESIZE(fields) OPS("[{\"resize\": " fields "}]")
#define OUTPUT(fields) SOURCE "[{\"name\": \"a\", " fields "}]}"
#define FROM(source)   "{\"outputs\": [{\"name\": \"a\"}], \"source\": " source "}"
#define AT_OP          "/args/outputs/0/ops/0"

static void image_sources_are_one_of_three(void **state)
{
#define ONE_OF "must have exactly one of upload, url, path"
#define AN_ID  "must be the id of an upload, as POST /v1/uploads gives it"
    static const struct row rows[] = {
        {FROM("{\"upload\": \"" UPLOAD "\"}"), NULL, NULL},
        {FROM("{\"url\": \"https://a/b\"}"), NULL, NULL},
        {FROM("{\"path\": \"in/a..b.jpg\"}"), NULL, NULL},
        {"{\"outputs\": [{\"name\": \"a\"}]}", "/args/source", "is required"},
        {FROM("{}"), "/args/source", ONE_OF},
        {FROM("{\"url\": \"http://a/\", \"path\": \"b\"}"), "/args/source", ONE_OF},
        {FROM("\"a\""), "/args/source", "must be an object"},
        {FROM("{\"upload\": \"x\"}"), "/args/source/upload", AN_ID},
        {FROM("{\"upload\": 1}"), "/args/source/upload", AN_ID},
        {FROM("{\"url\": \"file:///etc/passwd\"}"), "/args/source/url", ABSOLUTE},
        {FROM("{\"path\": \"../b\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a/../b\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a/..\"}"), "/args/source/path", "must not contain \"..\""},
        {FROM("{\"path\": \"a\\nb\"}"), "/args/source/path",
         "must not contain control characters or line ends"},
        {FROM("{\"base64\": \"b\"}"), "/args/source/base64",
         "is not a known field; known here: upload, url, path"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void image_outputs_follow_the_rules(void **state)
{
#define FORMATS  "must be one of jpeg, png, webp, avif"
#define OUT_NAME "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', first a letter or digit"
    static const struct row rows[] = {
        {SOURCE "[{\"name\": \"2x.a-b_c\"}], \"auto_orient\": false}", NULL, NULL},
        {OUTPUT("\"format\": \"jpg\", \"quality\": 1"), NULL, NULL},
        {OUTPUT("\"format\": \"avif\", \"quality\": 100"), NULL, NULL},
        {OUTPUT("\"quality\": 50"), NULL, NULL},
        {OUTPUT("\"ops\": []"), NULL, NULL},
        {"{\"source\": {\"path\": \"a\"}}", "/args/outputs", "is required"},
        {SOURCE "[]}", "/args/outputs", "must be an array of 1 to 32 items"},
        {SOURCE "{}}", "/args/outputs", "must be an array of 1 to 32 items"},
        {SOURCE "[{}]}", "/args/outputs/0/name", "is required"},
        {SOURCE "[{\"name\": \"\"}]}", "/args/outputs/0/name", OUT_NAME},
        {SOURCE "[{\"name\": \"..\"}]}", "/args/outputs/0/name", OUT_NAME},
        {SOURCE "[{\"name\": \"a/b\"}]}", "/args/outputs/0/name", OUT_NAME},
        {SOURCE "[{\"name\": \"A\"}]}", "/args/outputs/0/name", OUT_NAME},
        {SOURCE "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]}",
         "/args/outputs/2/name", "must be unique: another output has this name"},
        {OUTPUT("\"format\": \"gif\""), "/args/outputs/0/format", FORMATS},
        {OUTPUT("\"format\": \"JPEG\""), "/args/outputs/0/format", FORMATS},
        {OUTPUT("\"format\": 1"), "/args/outputs/0/format", FORMATS},
        {OUTPUT("\"quality\": 0"), "/args/outputs/0/quality",
         "must be an integer from 1 to 100"},
        {OUTPUT("\"quality\": 101"), "/args/outputs/0/quality",
         "must be an integer from 1 to 100"},
        {OUTPUT("\"quality\": 80, \"format\": \"png\""), "/args/outputs/0/quality",
         "does not go with png, which loses nothing"},
        {OUTPUT("\"width\": 80"), "/args/outputs/0/width",
         "is not a known field; known here: name, ops, format, quality"},
        {SOURCE "[{\"name\": \"a\"}], \"auto_orient\": 1}", "/args/auto_orient",
         "must be true or false"},
        {SOURCE "[{\"name\": \"a\"}], \"then\": []}", "/args/then",
         "is not a known field; known here: source, outputs, auto_orient"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void image_operations_follow_the_rules(void **state)
{
#define SIDE   "must be an integer from 1 to 16384"
#define ONE_OP "must be an object with one key, the operation: resize or sharpen"
#define COLOUR "must be a colour: \"#rrggbb\" or \"#rrggbbaa\""
#define SIGMA  "must be a number from 0.3 to 10"
    static const struct row rows[] = {
        {RESIZE("{\"width\": 16384}"), NULL, NULL},
        {RESIZE(
             "{\"height\": 1, \"fit\": \"fill\", \"gravity\": \"entropy\", \"enlarge\": true, "
             "\"background\": \"#0aF1b2\"}"),
         NULL, NULL},
        {OPS("[{\"sharpen\": {}}, {\"sharpen\": {\"sigma\": 10}}, {\"sharpen\": {\"sigma\": "
             "0.3}}]"),
         NULL, NULL},
        {OPS("{}"), "/args/outputs/0/ops", "must be an array of 0 to 16 items"},
        {OPS("[\"resize\"]"), AT_OP, ONE_OP},
        {OPS("[{}]"), AT_OP, ONE_OP},
        {OPS("[{\"sharpen\": {}, \"resize\": {\"width\": 1}}]"), AT_OP, ONE_OP},
        {OPS("[{\"sharpen\": {}}, {\"blur\": {}}]"), "/args/outputs/0/ops/1/blur",
         "is not a known field; known here: resize, sharpen"},
        {RESIZE("[]"), AT_OP "/resize", "must be an object"},
        {RESIZE("{}"), AT_OP "/resize", "must have width or height"},
        {RESIZE("{\"fit\": \"cover\"}"), AT_OP "/resize", "must have width or height"},
        {RESIZE("{\"width\": 0}"), AT_OP "/resize/width", SIDE},
        {RESIZE("{\"height\": 16385}"), AT_OP "/resize/height", SIDE},
        {RESIZE("{\"width\": 1.5}"), AT_OP "/resize/width", SIDE},
        {RESIZE("{\"width\": 1, \"fit\": \"outside\"}"), AT_OP "/resize/fit",
         "must be one of inside, cover, contain, fill"},
        {RESIZE("{\"width\": 1, \"gravity\": \"centre\"}"), AT_OP "/resize/gravity",
         "must be one of center, north, south, east, west, northeast, northwest, southeast, "
         "southwest, attention, entropy"},
        {RESIZE("{\"width\": 1, \"enlarge\": \"yes\"}"), AT_OP "/resize/enlarge",
         "must be true or false"},
        {RESIZE("{\"width\": 1, \"background\": \"#fff\"}"), AT_OP "/resize/background",
         COLOUR},
        {RESIZE("{\"width\": 1, \"background\": \"#ffffgg\"}"), AT_OP "/resize/background",
         COLOUR},
        {RESIZE("{\"width\": 1, \"background\": \"0ffffff\"}"), AT_OP "/resize/background",
         COLOUR},
        {RESIZE("{\"width\": 1, \"background\": [255, 255, 255]}"), AT_OP "/resize/background",
         COLOUR},
        {OPS("[{\"sharpen\": {\"sigma\": 0.29}}]"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("[{\"sharpen\": {\"sigma\": 11}}]"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("[{\"sharpen\": {\"sigma\": -1}}]"), AT_OP "/sharpen/sigma", SIGMA},
        {OPS("[{\"sharpen\": {\"radius\": 1}}]"), AT_OP "/sharpen/radius",
         "is not a known field; known here: sigma"},
    };

    (void)state;
    check_rows("image", rows, COUNT_OF(rows));
}

static void check_card(const struct image_output *card)
{
    assert_string_equal(card->name, "card");
    assert_true(card->has_format);
    assert_int_equal(card->format, IMAGE_WEBP);
    assert_int_equal(card->quality, 80);
    assert_int_equal(card->n_ops, 2);
    assert_int_equal(card->ops[0].kind, IMAGE_OP_RESIZE);
    assert_int_equal(card->ops[0].u.resize.width, 640);
    assert_int_equal(card->ops[0].u.resize.height, 480);
    assert_int_equal(card->ops[0].u.resize.fit, IMAGE_FIT_COVER);
    assert_int_equal(card->ops[0].u.resize.gravity, IMAGE_ATTENTION);
    assert_true(card->ops[0].u.resize.has_background);
    assert_memory_equal(card->ops[0].u.resize.background, "\x01\x02\xab\xff", 4);
    assert_int_equal(card->ops[1].kind, IMAGE_OP_SHARPEN);
    assert_true(card->ops[1].u.sharpen.sigma > 0.49 && card->ops[1].u.sharpen.sigma < 0.51);
}

static void image_is_read(void **state)
{
    static const char json[] =
        "{\"source\": {\"upload\": \"" UPLOAD "\"}, \"outputs\": ["
        "{\"name\": \"card\", \"ops\": [{\"resize\": {\"width\": 640, \"height\": 480, "
        "\"fit\": "
        "\"cover\", \"gravity\": \"attention\", \"background\": \"#0102ab\"}}, {\"sharpen\": "
        "{}}], "
        "\"format\": \"webp\", \"quality\": 80}, {\"name\": \"thumb\", \"ops\": [{\"resize\": "
        "{\"height\": 160, \"background\": \"#01020304\"}}]}]}";
    struct spec_image *image = malloc(sizeof *image);
    const struct image_output *thumb;
    char text[UUID_TEXT_SIZE];
    struct doc d;

    (void)state;
    assert_non_null(image);
    memset(image, 0xa5, sizeof *image); /* nothing may be left as it was */
    doc_open(&d, json);
    assert_int_equal(spec_image_parse(&d.root, "/args", image, NULL), ERR_OK);
    assert_int_equal(image->source_kind, IMAGE_SOURCE_UPLOAD);
    assert_string_equal(uuid_text(&image->upload, text), UPLOAD);
    assert_true(image->auto_orient);
    assert_int_equal(image->n_outputs, 2);
    check_card(&image->outputs[0]);
    thumb = &image->outputs[1];
    assert_string_equal(thumb->name, "thumb");
    assert_false(thumb->has_format);
    assert_int_equal(thumb->quality, 0);
    assert_int_equal(thumb->n_ops, 1);
    assert_int_equal(thumb->ops[0].u.resize.width, 0);
    assert_int_equal(thumb->ops[0].u.resize.fit, IMAGE_FIT_INSIDE);
    assert_int_equal(thumb->ops[0].u.resize.gravity, IMAGE_CENTER);
    assert_false(thumb->ops[0].u.resize.enlarge);
    assert_int_equal(thumb->ops[0].u.resize.background[3], 4);
    doc_close(&d);
    doc_open(&d, FROM("{\"path\": \"a/b.png\"}"));
    assert_int_equal(spec_image_parse(&d.root, "/args", image, NULL), ERR_OK);
    assert_int_equal(image->source_kind, IMAGE_SOURCE_PATH);
    assert_true(slice_is(image->source, "a/b.png"));
    doc_close(&d);
    free(image);
}

static void image_counts_are_limited(void **state)
{
    static const struct {
        int outputs, ops;
        const char *pointer;
    } rows[] = {{SPEC_IMAGE_OUTPUTS_MAX, SPEC_IMAGE_OPS_MAX, NULL},
                {SPEC_IMAGE_OUTPUTS_MAX + 1, 0, "/args/outputs"},
                {1, SPEC_IMAGE_OPS_MAX + 1, "/args/outputs/0/ops"}};
    struct buf json = {.len = 0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct spec_fault told = {"", ""};
        struct doc d;

        buf_clear(&json);
        buf_add_str(&json, SOURCE "[");
        for (int k = 0; k < rows[i].outputs; k++) {
            buf_addf(&json, "%s{\"name\": \"n%d\", \"ops\": [", k > 0 ? ", " : "", k);
            for (int o = 0; o < rows[i].ops; o++)
                buf_addf(&json, "%s{\"sharpen\": {}}", o > 0 ? ", " : "");
            buf_add_str(&json, "]}");
        }
        buf_add_str(&json, "]}");
        doc_open(&d, buf_cstr(&json));
        assert_int_equal(spec_find("image")->check(&d.root, "/args", &told),
                         rows[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        assert_string_equal(told.pointer, rows[i].pointer == NULL ? "" : rows[i].pointer);
        doc_close(&d);
    }
    buf_done(&json);
}

static void image_formats_have_names(void **state)
{
    static const struct {
        enum image_format format;
        const char *name, *mime, *ext;
    } rows[] = {{IMAGE_JPEG, "jpeg", "image/jpeg", "jpg"},
                {IMAGE_PNG, "png", "image/png", "png"},
                {IMAGE_WEBP, "webp", "image/webp", "webp"},
                {IMAGE_AVIF, "avif", "image/avif", "avif"},
                {IMAGE_GIF, "gif", "image/gif", "gif"}};
    enum image_format parsed;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(image_format_name(rows[i].format), rows[i].name);
        assert_string_equal(image_format_mime(rows[i].format), rows[i].mime);
        assert_string_equal(image_format_ext(rows[i].format), rows[i].ext);
        assert_true(image_format_parse(slice_str(rows[i].name), &parsed));
        assert_int_equal(parsed, rows[i].format);
    }
    assert_true(image_format_parse(SLICE_LIT("jpg"), &parsed));
    assert_int_equal(parsed, IMAGE_JPEG);
    assert_false(image_format_parse(SLICE_LIT("tiff"), &parsed));
    assert_false(image_format_parse(SLICE_LIT(""), &parsed));
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
        {"[{\"type\": \"fax\", \"args\": {}}]", "/then/0/type", "is not a known job type"},
        {"[{\"type\": 1, \"args\": {}}]", "/then/0/type", NAME},
        {"[{\"args\": {\"url\": \"x\"}, \"type\": \"webhook\"}]", "/then/0/args/url", ABSOLUTE},
        {"[" HOOK ", \"on\": \"never\"}]", "/then/0/on",
         "must be one of success, failure, always"},
        {"[" HOOK ", \"queue\": \"A\"}]", "/then/0/queue", NAME},
        {"[" HOOK ", \"then\": []}]", "/then/0/then",
         "is not a known field; known here: type, args, queue, on"},
        {"[" HOOK ", \"max_attempts\": 3}]", "/then/0/max_attempts",
         "is not a known field; known here: type, args, queue, on"},
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
    struct follow_up ups[JOB_FOLLOW_MAX];
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
        cmocka_unit_test(image_sources_are_one_of_three),
        cmocka_unit_test(image_outputs_follow_the_rules),
        cmocka_unit_test(image_operations_follow_the_rules),
        cmocka_unit_test(image_is_read),
        cmocka_unit_test(image_counts_are_limited),
        cmocka_unit_test(image_formats_have_names),
        cmocka_unit_test(follow_ups_follow_the_rules),
        cmocka_unit_test(follow_ups_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
