#include "worker/notify/mime.h"

#include <string.h>
#include <time.h>

#include "shared/hash.h"
#include "shared/utf8.h"
#include "worker/notify/mime_address.h"

#define BOUNDARY "=_millrace_alternative"

enum { LINE_MAX_COLUMNS = 76, WORD_EXTRA = 12 /* "=?utf-8?B?" and "?=" */ };

static struct slice rest(struct slice s, size_t n)
{
    return slice_of(s.ptr + n, s.len - n);
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

/* --- headers ---------------------------------------------------------------------------------- */

static size_t column(const struct buf *out, size_t line_start)
{
    return out->len - line_start;
}

static size_t fold(struct buf *out)
{
    buf_add_str(out, "\r\n");
    buf_add_char(out, ' ');
    return out->len - 1;
}

/* As many whole characters as fit into `room` bytes. */
static size_t fitting(struct slice s, size_t room)
{
    size_t n = 0;

    while (n < s.len) {
        size_t step = utf8_step(s.ptr + n, s.len - n);

        if (n + step > room)
            break;
        n += step;
    }
    return n;
}

/* RFC 2047 words, a line each. Gives where the last line starts. */
static size_t add_words(struct buf *out, struct slice s, size_t line_start)
{
    while (s.len > 0 && !buf_failed(out)) {
        size_t used = column(out, line_start) + WORD_EXTRA;
        size_t room = used >= LINE_MAX_COLUMNS ? 0 : (LINE_MAX_COLUMNS - used) / 4 * 3;
        size_t n = fitting(s, room);

        if (n == 0) {
            line_start = fold(out);
            continue;
        }
        buf_add_str(out, "=?utf-8?B?");
        base64_add(out, slice_of(s.ptr, n));
        buf_add_str(out, "?=");
        s = rest(s, n);
        if (s.len > 0)
            line_start = fold(out);
    }
    return line_start;
}

static bool contains(struct slice s, const char *what)
{
    return s.len > 0 && memmem(s.ptr, s.len, what, strlen(what)) != NULL;
}

static bool has_outer_space(struct slice s)
{
    return s.len > 0 && (s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ');
}

static void add_subject(struct buf *out, struct slice subject)
{
    size_t line_start = out->len;

    buf_add_str(out, "Subject: ");
    if (is_ascii(subject) && !contains(subject, "=?") && !has_outer_space(subject) &&
        column(out, line_start) + subject.len <= LINE_MAX_COLUMNS)
        buf_add_slice(out, subject);
    else
        (void)add_words(out, subject, line_start);
    buf_add_str(out, "\r\n");
}

static bool is_phrase_char(char c)
{
    return c == ' ' || mime_is_atext(c);
}

static bool is_phrase(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_phrase_char(s.ptr[i]))
            return false;
    }
    return true;
}

static void add_quoted(struct buf *out, struct slice s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, s.ptr[i]);
    }
    buf_add_char(out, '"');
}

/* `Name <addr>`; the name as atoms, quoted, or encoded. Gives where the last line starts. */
static size_t add_mailbox(struct buf *out, const struct mailbox *box, size_t line_start)
{
    struct slice name = buf_slice(&box->name);
    bool plain = is_ascii(name) && name.len <= 50 && !contains(name, "=?");

    if (name.len == 0) {
        buf_add_str(out, box->address);
        return line_start;
    }
    if (!plain)
        line_start = add_words(out, name, line_start);
    else if (is_phrase(name) && !contains(name, "  "))
        buf_add_slice(out, name);
    else
        add_quoted(out, name);
    if (column(out, line_start) + strlen(box->address) + 4 > LINE_MAX_COLUMNS)
        line_start = fold(out);
    else
        buf_add_char(out, ' ');
    buf_addf(out, "<%s>", box->address);
    return line_start;
}

static enum err parse_box(struct slice text, const char *field, struct mailbox *box,
                          struct fault *reterr)
{
    enum err e = mailbox_parse(text, field, box, reterr);

    if (e == ERR_OK && !utf8_is_text(buf_slice(&box->name)))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: not UTF-8", field);
    return e;
}

/* One header of addresses, each on its line. field: as the fault names it; indexed if there are several. */
static enum err add_addresses(struct buf *out, const char *header, const char *field,
                              const struct slice *list, size_t n, struct fault *reterr)
{
    size_t line_start = out->len;

    buf_addf(out, "%s: ", header);
    for (size_t i = 0; i < n; i++) {
        AUTO(mailbox_done) struct mailbox box = {0};
        char name[32];
        enum err e;

        (void)snprintf(name, sizeof name, n > 1 ? "%s[%zu]" : "%s", field, i);
        e = parse_box(list[i], name, &box, reterr);
        if (e != ERR_OK)
            return e;
        line_start = add_mailbox(out, &box, line_start);
        if (i + 1 < n) {
            buf_add_char(out, ',');
            line_start = fold(out);
        }
    }
    buf_add_str(out, "\r\n");
    return ERR_OK;
}

static void add_date(struct buf *out, uint64_t date_ms)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t at = (time_t)(date_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&at, &tm);
    buf_addf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday],
             tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
}

static enum err add_headers(const struct mime_mail *m, struct buf *out, struct fault *reterr)
{
    char id[MIME_ADDRESS_SIZE];
    enum err e;

    add_date(out, m->date_ms);
    e = add_addresses(out, "From", "from", &m->from, 1, reterr);
    if (e == ERR_OK)
        e = add_addresses(out, "To", "to", m->to, m->n_to, reterr);
    if (e == ERR_OK && m->reply_to.ptr != NULL)
        e = add_addresses(out, "Reply-To", "reply_to", &m->reply_to, 1, reterr);
    if (e == ERR_OK)
        e = mailbox_bare_address(m->message_id, "message_id", id, reterr);
    if (e != ERR_OK)
        return e;
    add_subject(out, m->subject);
    buf_addf(out, "Message-ID: <%s>\r\n", id);
    buf_add_str(out, "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n");
    return ERR_OK;
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* How many bytes of s the end of a line takes there: CR LF, LF or a lone CR; 0: no end here. */
static size_t eol_len(struct slice s)
{
    if (s.len >= 2 && s.ptr[0] == '\r' && s.ptr[1] == '\n')
        return 2;
    return s.len >= 1 && (s.ptr[0] == '\n' || s.ptr[0] == '\r') ? 1 : 0;
}

static bool goes_as_it_is(struct slice s)
{
    char c = s.ptr[0];

    if (c == ' ' || c == '\t')
        return s.len > 1 && eol_len(rest(s, 1)) == 0; /* not at the end of a line */
    return c > ' ' && c < 0x7f && c != '=';
}

static void add_quoted_printable(struct buf *out, struct slice s)
{
    size_t line_start = out->len;

    while (s.len > 0 && !buf_failed(out)) {
        size_t eol = eol_len(s);
        bool plain = eol == 0 && goes_as_it_is(s);

        if (eol > 0) {
            buf_add_str(out, "\r\n");
            line_start = out->len;
            s = rest(s, eol);
            continue;
        }
        if (column(out, line_start) + (plain ? 1 : 3) > LINE_MAX_COLUMNS - 1) {
            buf_add_str(out, "=\r\n");
            line_start = out->len;
        }
        if (plain)
            buf_add_char(out, s.ptr[0]);
        else
            buf_addf(out, "=%02X", (unsigned)(unsigned char)s.ptr[0]);
        s = rest(s, 1);
    }
    if (column(out, line_start) > 0)
        buf_add_str(out, "\r\n");
}

static void add_part(struct buf *out, const char *subtype, struct slice body)
{
    buf_addf(out, "Content-Type: text/%s; charset=utf-8\r\n", subtype);
    buf_add_str(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    add_quoted_printable(out, body);
}

static void add_content(const struct mime_mail *m, struct buf *out)
{
    if (m->html.ptr == NULL) {
        add_part(out, "plain", m->text);
        return;
    }
    if (m->text.ptr == NULL) {
        add_part(out, "html", m->html);
        return;
    }
    buf_add_str(out,
                "Content-Type: multipart/alternative;\r\n boundary=\"" BOUNDARY "\"\r\n\r\n");
    buf_add_str(out, "--" BOUNDARY "\r\n");
    add_part(out, "plain", m->text);
    buf_add_str(out, "--" BOUNDARY "\r\n");
    add_part(out, "html", m->html);
    buf_add_str(out, "--" BOUNDARY "--\r\n");
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum err check_body(struct slice body, const char *field, struct fault *reterr)
{
    if (body.ptr == NULL)
        return ERR_OK;
    if (memchr(body.ptr, '\0', body.len) != NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: holds a NUL", field);
    if (!utf8_is_text(body))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: not UTF-8", field);
    return ERR_OK;
}

static enum err check(const struct mime_mail *m, struct fault *reterr)
{
    enum err e;

    if (m->n_to == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "to: no recipient");
    if (has_controls(m->subject))
        return fault_set(reterr, ERR_MALFORMED, 0, "subject: control characters");
    if (!utf8_is_text(m->subject))
        return fault_set(reterr, ERR_MALFORMED, 0, "subject: not UTF-8");
    if (m->text.ptr == NULL && m->html.ptr == NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "text: neither text nor html");
    e = check_body(m->text, "text", reterr);
    return e != ERR_OK ? e : check_body(m->html, "html", reterr);
}

enum err mime_build(const struct mime_mail *mail, struct buf *out, struct fault *reterr)
{
    enum err e = check(mail, reterr);

    buf_clear(out);
    if (e == ERR_OK)
        e = add_headers(mail, out, reterr);
    if (e == ERR_OK)
        add_content(mail, out);
    if (e == ERR_OK && buf_failed(out))
        e = out->limit != 0
                ? fault_set(reterr, ERR_TOO_BIG, 0, "mail: over %zu bytes", out->limit)
                : fault_set(reterr, ERR_NOMEM, 0, "mail");
    if (e != ERR_OK)
        buf_clear(out);
    return e;
}
