/* A mail of fields from a stranger, separated by 0xff: it is refused, or it is seven-bit lines that end in
 * CR LF, with the headers that belong there and no others, and a body that reads back as it was given. */
#include <stdlib.h>
#include <string.h>

#include "worker/notify/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FROM, TO, REPLY_TO, SUBJECT, MESSAGE_ID, TEXT, HTML, FIELDS };

static void split(const uint8_t *data, size_t size, struct slice field[FIELDS])
{
    for (size_t i = 0; i < FIELDS && data != NULL; i++) {
        const uint8_t *end = size == 0 ? NULL : memchr(data, 0xff, size);

        field[i] = slice_of(data, end == NULL ? size : (size_t)(end - data));
        size -= end == NULL ? size : field[i].len + 1;
        data = end == NULL ? NULL : end + 1;
    }
}

static void check_lines(struct slice mail)
{
    size_t start = 0;

    must(mail.len >= 2);
    for (size_t i = 0; i < mail.len; i++) {
        must((unsigned char)mail.ptr[i] < 0x80 && mail.ptr[i] != '\0');
        must((mail.ptr[i] == '\r') == (i + 1 < mail.len && mail.ptr[i + 1] == '\n'));
        must(i - start < 998);
        if (mail.ptr[i] == '\n')
            start = i + 1;
    }
    must(start == mail.len);
}

static void check_headers(struct slice mail)
{
    static const char *const names[] = {"Date: ",         "From: ",
                                        "To: ",           "Reply-To: ",
                                        "Subject: ",      "Message-ID: ",
                                        "MIME-Version: ", "Auto-Submitted: ",
                                        "Content-Type: ", "Content-Transfer-Encoding: "};
    unsigned seen = 0;

    while (!slice_starts(mail, "\r\n")) {
        const char *end = memmem(mail.ptr, mail.len, "\r\n", 2);
        size_t i = 0;

        must(end != NULL && mail.len > 2);
        if (mail.ptr[0] != ' ') {
            while (i < COUNT_OF(names) && !slice_starts(mail, names[i]))
                i++;
            must(i < COUNT_OF(names) && (seen & 1U << i) == 0);
            seen |= 1U << i;
        }
        mail = slice_of(end + 2, mail.len - (size_t)(end + 2 - mail.ptr));
    }
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static void decode(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '=')
            buf_add_char(out, s.ptr[i]);
        else if (s.ptr[i + 1] != '\r')
            buf_add_char(out, (char)(digit(s.ptr[i + 1]) * 16 + digit(s.ptr[i + 2])));
        if (s.ptr[i] == '=')
            i += 2;
    }
}

/* Every end of a line as CR LF, and one at the end. */
static void normalise(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n')
            buf_add_str(out, "\r\n");
        else
            buf_add_char(out, s.ptr[i]);
        if (s.ptr[i] == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n')
            i++;
    }
    if (s.len > 0 && s.ptr[s.len - 1] != '\r' && s.ptr[s.len - 1] != '\n')
        buf_add_str(out, "\r\n");
}

static void check_body(struct slice mail, struct slice given)
{
    struct buf want = {0}, got = {0};
    const char *body = memmem(mail.ptr, mail.len, "\r\n\r\n", 4);

    must(body != NULL);
    decode(slice_of(body + 4, mail.len - (size_t)(body + 4 - mail.ptr)), &got);
    normalise(given, &want);
    must(slice_eq(buf_slice(&got), buf_slice(&want)));
    buf_done(&want);
    buf_done(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice field[FIELDS] = {{NULL, 0}};
    struct mime_mail m = {.to = &field[TO], .n_to = 1, .date_ms = 1762300800123};
    struct buf out = {0};
    struct fault why = {.text = ""};
    enum err e;

    split(data, size, field);
    m.from = field[FROM];
    m.reply_to = field[REPLY_TO];
    m.subject = field[SUBJECT];
    m.message_id = field[MESSAGE_ID];
    m.text = field[TEXT];
    m.html = field[HTML];
    e = mime_build(&m, &out, &why);
    if (e != ERR_OK) {
        must(e == ERR_MALFORMED && out.len == 0 && strstr(why.text, ": ") != NULL);
    } else {
        check_lines(buf_slice(&out));
        check_headers(buf_slice(&out));
        if (m.text.ptr == NULL || m.html.ptr == NULL)
            check_body(buf_slice(&out), m.text.ptr == NULL ? m.html : m.text);
    }
    buf_done(&out);
    return 0;
}
