#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/notify/mime.h"

static const struct slice to_one[] = {{"you@example.org", 15}};

static struct mime_mail plain_mail(void)
{
    return (struct mime_mail){
        .from = SLICE_LIT("Millrace <noreply@example.com>"),
        .to = to_one,
        .n_to = 1,
        .subject = SLICE_LIT("Your job is done"),
        .text = SLICE_LIT("Done.\n"),
        .message_id = SLICE_LIT("0193.1@example.com"),
        .date_ms = 1762300800123,
    };
}

static void check_text(const struct mime_mail *m, const char *want)
{
    struct buf out = {0};
    struct fault why = {.text = ""};

    if (mime_build(m, &out, &why) != ERR_OK)
        fail_msg("%s", why.text);
    assert_string_equal(buf_cstr(&out), want);
    assert_int_equal(out.len, strlen(want));
    buf_done(&out);
}

#define HEAD                                                                                   \
    "Date: Wed, 05 Nov 2025 00:00:00 +0000\r\nFrom: Millrace <noreply@example.com>\r\n"        \
    "To: you@example.org\r\nSubject: Your job is done\r\nMessage-ID: <0193.1@example.com>\r\n" \
    "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n"
#define PART(type)                                   \
    "Content-Type: text/" type "; charset=utf-8\r\n" \
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"

static void text_alone_gives_one_plain_part(void **state)
{
    struct mime_mail m = plain_mail();

    (void)state;
    check_text(&m, HEAD PART("plain") "Done.\r\n");
}

static void html_alone_gives_one_html_part(void **state)
{
    struct mime_mail m = plain_mail();

    (void)state;
    m.text = (struct slice){0};
    m.html = SLICE_LIT("<b class=\"x\">Done</b>");
    check_text(&m, HEAD PART("html") "<b class=3D\"x\">Done</b>\r\n");
}

static void both_give_alternatives_the_plain_one_first(void **state)
{
    struct mime_mail m = plain_mail();

    (void)state;
    m.html = SLICE_LIT("<b>Done</b>");
    check_text(
        &m,
        HEAD "Content-Type: multipart/alternative;\r\n boundary=\"=_millrace_alternative\"\r\n"
             "\r\n--=_millrace_alternative\r\n" PART(
                 "plain") "Done.\r\n"
                          "--=_millrace_alternative\r\n" PART(
                              "html") "<b>Done</b>\r\n"
                                      "--=_millrace_alternative--\r\n");
}

/* --- headers ---------------------------------------------------------------------------------- */

/* The header's value with its folds, as it stands in the mail. */
static void header_of(const struct buf *mail, const char *name, char *dst, size_t cap)
{
    const char *at = strstr(buf_cstr(mail), name), *end;

    assert_non_null(at);
    at += strlen(name);
    for (end = at; !(end[0] == '\r' && end[2] != ' '); end++)
        ;
    assert_true(slice_to_cstr(slice_of(at, (size_t)(end - at)), dst, cap));
}

static void headers_are_written_as_mail_wants_them(void **state)
{
    static const struct {
        const char *from, *subject, *want_from, *want_subject;
    } table[] = {
        {"a@b.c", "", "a@b.c", ""},
        {"<a@b.c>", "x", "a@b.c", "x"},
        {"  Joe  Q <a@b.c>", "a  b", "\"Joe  Q\" <a@b.c>", "a  b"},
        {"Joe Q.<a@b.c>", " x", "\"Joe Q.\" <a@b.c>", "=?utf-8?B?IHg=?="},
        {"\"Q, \\\"Joe\\\"\" <a@b.c>", "=?x", "\"Q, \\\"Joe\\\"\" <a@b.c>", "=?utf-8?B?PT94?="},
        {"Jos\xc3\xa9 <a@b.c>", "caf\xc3\xa9", "=?utf-8?B?Sm9zw6k=?= <a@b.c>",
         "=?utf-8?B?Y2Fmw6k=?="},
        {"=?us-ascii?Q?x?= <a@b.c>", "x", "=?utf-8?B?PT91cy1hc2NpaT9RP3g/PQ==?= <a@b.c>", "x"},
        {"a@b.c", "1234567890123456789012345678901234567890123456789012345678901234567",
         "a@b.c", "1234567890123456789012345678901234567890123456789012345678901234567"},
        {"a@b.c", "12345678901234567890123456789012345678901234567890123456789012345678",
         "a@b.c",
         "=?utf-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5?=\r\n"
         " =?utf-8?B?MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg=?="},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct mime_mail m = plain_mail();
        struct buf out = {0};
        char got[1000];

        m.from = slice_str(table[i].from);
        m.subject = slice_str(table[i].subject);
        assert_int_equal(mime_build(&m, &out, NULL), ERR_OK);
        header_of(&out, "From: ", got, sizeof got);
        assert_string_equal(got, table[i].want_from);
        header_of(&out, "Subject: ", got, sizeof got);
        assert_string_equal(got, table[i].want_subject);
        buf_done(&out);
    }
}

static void recipients_stand_on_a_line_each(void **state)
{
    static const struct slice three[] = {
        {"A <a@b.c>", 9}, {"d@e.f", 5}, {"\"G, H\" <g@h.i>", 14}};
    struct mime_mail m = plain_mail();
    struct buf out = {0};
    char got[1000];

    (void)state;
    m.to = three;
    m.n_to = 3;
    m.reply_to = SLICE_LIT("Help <help@example.com>");
    assert_int_equal(mime_build(&m, &out, NULL), ERR_OK);
    header_of(&out, "\r\nTo: ", got, sizeof got);
    assert_string_equal(got, "A <a@b.c>,\r\n d@e.f,\r\n \"G, H\" <g@h.i>");
    header_of(&out, "\r\nReply-To: ", got, sizeof got);
    assert_string_equal(got, "Help <help@example.com>");
    buf_done(&out);
}

static void encoded_words_hold_whole_characters_and_short_lines(void **state)
{
    static const char cycle[] =
        "\xf0\x9f\x8e\x89\xe6\x97\xa5\xc3\xa9x"; /* 4, 3, 2 and 1 bytes */
    static const size_t starts[] = {0, 4, 7, 9};
    char text[700];

    (void)state;
    for (size_t n = 0; n < sizeof text; n += sizeof cycle - 1)
        memcpy(text + n, cycle, sizeof cycle - 1);
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        struct mime_mail m = plain_mail();
        struct buf out = {0};
        const char *line;

        m.subject = slice_of(text + starts[i], sizeof text - starts[i]);
        assert_int_equal(mime_build(&m, &out, NULL), ERR_OK);
        for (line = buf_cstr(&out); *line != '\0'; line = strstr(line, "\r\n") + 2)
            assert_in_range(strstr(line, "\r\n") - line, 0, 76);
        for (line = buf_cstr(&out); (line = strstr(line, "?B?")) != NULL; line++) {
            /* A word's first letter holds its first byte's upper six bits: never 10xxxx. */
            assert_null(strchr("ghijklmnopqrstuv", line[3]));
        }
        buf_done(&out);
    }
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void bodies_are_quoted_printable_with_crlf_lines(void **state)
{
    static const char x75[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static const struct {
        const char *text, *want;
    } table[] = {
        {"", ""},
        {"a", "a\r\n"},
        {"a\nb", "a\r\nb\r\n"},
        {"a\r\nb\r\n", "a\r\nb\r\n"},
        {"a\rb\r\r\n\n", "a\r\nb\r\n\r\n\r\n"},
        {"a=b", "a=3Db\r\n"},
        {"a \nb\t\n c \t", "a=20\r\nb=09\r\n c =09\r\n"},
        {"\xc3\xa9\x01\x7f", "=C3=A9=01=7F\r\n"},
        {".\n..", ".\r\n..\r\n"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx="
         "\r\ny\r\n"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=\r\n=C3="
         "A9\r\n"},
        {"--=_millrace_alternative--\n", "--=3D_millrace_alternative--\r\n"},
        {x75, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct mime_mail m = plain_mail();
        struct buf out = {0};
        const char *body;

        m.text = slice_str(table[i].text);
        assert_int_equal(mime_build(&m, &out, NULL), ERR_OK);
        body = strstr(buf_cstr(&out), "\r\n\r\n") + 4;
        if (table[i].want != NULL)
            assert_string_equal(body, table[i].want);
        else
            assert_memory_equal(body, x75, sizeof x75 - 1);
        buf_done(&out);
    }
}

/* --- refusals --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    size_t len; /* 0: strlen */
} bad_boxes[] = {
    {"", 0},
    {"nobody", 0},
    {"a@b@c", 0},
    {"@b.c", 0},
    {"a@", 0},
    {"a b@c.d", 0},
    {"a@b.c, d@e.f", 0},
    {"a@b..c", 0},
    {"a@.c", 0},
    {"a@b.", 0},
    {"a..b@c.d", 0},
    {".a@b.c", 0},
    {"a.@b.c", 0},
    {"a@[127.0.0.1]", 0},
    {"\"a b\"@c.d", 0},
    {"\xc3\xa4@b.c", 0},
    {"a@\xc3\xa4.c", 0},
    {"a@b_c", 0},
    {"<a@b.c", 0},
    {"a@b.c>", 0},
    {"<<a@b.c>>", 0},
    {"X <a@b.c> y", 0},
    {"X <>", 0},
    {"\"X <a@b.c>", 0},
    {"\"X\" Y <a@b.c>", 0},
    {"\"X\\\" <a@b.c>", 0},
    {"X\r\nBcc: <a@b.c>", 0},
    {"X\n <a@b.c>", 0},
    {"X\t<a@b.c>", 0},
    {"X\x7f <a@b.c>", 0},
    {"X\0Y <a@b.c>", 11},
    {"\xc3 <a@b.c>", 0},
    {"a23456789012345678901234567890123456789012345678901234567890123456@b.c", 0},
};

static void a_bad_address_is_refused_by_the_name_of_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_boxes); i++) {
        struct slice bad =
            slice_of(bad_boxes[i].text,
                     bad_boxes[i].len != 0 ? bad_boxes[i].len : strlen(bad_boxes[i].text));
        struct slice pair[2] = {to_one[0], bad};
        struct buf out = {0};
        struct fault why = {.text = ""};
        struct mime_mail m = plain_mail();

        m.to = pair;
        m.n_to = 2;
        if (mime_build(&m, &out, &why) != ERR_MALFORMED || strncmp(why.text, "to[1]: ", 7) != 0)
            fail_msg("%s: %s", bad.ptr, why.text);
        assert_int_equal(out.len, 0);
        m = plain_mail();
        m.from = bad;
        assert_int_equal(mime_build(&m, &out, &why), ERR_MALFORMED);
        assert_memory_equal(why.text, "from: ", 6);
        m = plain_mail();
        m.reply_to = bad;
        assert_int_equal(mime_build(&m, &out, &why), ERR_MALFORMED);
        assert_memory_equal(why.text, "reply_to: ", 10);
        buf_done(&out);
    }
}

static void other_bad_fields_are_refused_by_name(void **state)
{
    struct mime_mail table[] = {plain_mail(), plain_mail(), plain_mail(),
                                plain_mail(), plain_mail(), plain_mail(),
                                plain_mail(), plain_mail(), plain_mail()};
    static const char *const want[] = {
        "subject: ", "subject: ", "subject: ",    "to: ",        "text: ",
        "text: ",    "html: ",    "message_id: ", "message_id: "};

    (void)state;
    table[0].subject = SLICE_LIT("a\r\nBcc: x@y.z");
    table[1].subject = SLICE_LIT("a\0b");
    table[2].subject = SLICE_LIT("\xed\xa0\x80");
    table[3].n_to = 0;
    table[4].text = (struct slice){0};
    table[5].text = SLICE_LIT("a\0b");
    table[6].html = SLICE_LIT("\xff");
    table[7].message_id = SLICE_LIT("x");
    table[8].message_id = SLICE_LIT("a@b>\r\nX: <c@d");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out = {0};
        struct fault why = {.text = ""};

        if (mime_build(&table[i], &out, &why) != ERR_MALFORMED ||
            strncmp(why.text, want[i], strlen(want[i])) != 0)
            fail_msg("row %zu: %s", i, why.text);
        buf_done(&out);
    }
}

static void a_mail_over_the_buffers_limit_is_too_big(void **state)
{
    struct mime_mail m = plain_mail();
    struct buf out = {.limit = 100};

    (void)state;
    assert_int_equal(mime_build(&m, &out, NULL), ERR_TOO_BIG);
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

static void the_envelope_gets_the_bare_address(void **state)
{
    static const struct {
        const char *box, *want;
    } table[] = {
        {"a@b.c", "a@b.c"},
        {" \"X, Y\" <first.last+tag@sub.example.com> ", "first.last+tag@sub.example.com"},
        {"<root@localhost>", "root@localhost"},
        {"nobody", NULL},
    };
    char got[MIME_ADDRESS_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (table[i].want == NULL) {
            assert_int_equal(mime_address(slice_str(table[i].box), got, NULL), ERR_MALFORMED);
            continue;
        }
        assert_int_equal(mime_address(slice_str(table[i].box), got, NULL), ERR_OK);
        assert_string_equal(got, table[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_alone_gives_one_plain_part),
        cmocka_unit_test(html_alone_gives_one_html_part),
        cmocka_unit_test(both_give_alternatives_the_plain_one_first),
        cmocka_unit_test(headers_are_written_as_mail_wants_them),
        cmocka_unit_test(recipients_stand_on_a_line_each),
        cmocka_unit_test(encoded_words_hold_whole_characters_and_short_lines),
        cmocka_unit_test(bodies_are_quoted_printable_with_crlf_lines),
        cmocka_unit_test(a_bad_address_is_refused_by_the_name_of_its_field),
        cmocka_unit_test(other_bad_fields_are_refused_by_name),
        cmocka_unit_test(a_mail_over_the_buffers_limit_is_too_big),
        cmocka_unit_test(the_envelope_gets_the_bare_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
