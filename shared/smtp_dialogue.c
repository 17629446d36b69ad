#include "shared/smtp_dialogue.h"

#include <string.h>

enum { ADDRESS_MAX = 320 };

/* --- replies ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "250", "250 text" or "250-text", without its end. */
static bool read_line(struct slice line, int *ret_code, bool *ret_last)
{
    if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' || !is_digit(line.ptr[1]) ||
        !is_digit(line.ptr[2]))
        return false;
    *ret_code = (line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + (line.ptr[2] - '0');
    *ret_last = line.len == 3 || line.ptr[3] == ' ';
    return *ret_last || line.ptr[3] == '-';
}

/* The line at `from`, without its end; false if it is not whole yet. */
static bool next_line(const struct buf *in, size_t from, struct slice *ret, size_t *ret_next)
{
    const char *start = in->data + from;
    const char *lf = in->len == from ? NULL : memchr(start, '\n', in->len - from);

    if (lf == NULL)
        return false;
    *ret = slice_of(start, (size_t)(lf - start));
    *ret_next = from + ret->len + 1;
    if (ret->len > 0 && ret->ptr[ret->len - 1] == '\r')
        ret->len--;
    return true;
}

enum smtp_got smtp_reply_take(struct buf *in, int *ret_code, struct buf *text)
{
    size_t at = 0;
    struct slice line;
    int code = 0, first = 0;
    bool last;

    buf_clear(text);
    while (next_line(in, at, &line, &at)) {
        if (!read_line(line, &code, &last) || (first != 0 && code != first))
            return SMTP_GOT_GARBAGE;
        first = code;
        buf_add_str(text, text->len > 0 ? "\n" : "");
        buf_add_slice(text, line);
        if (last) {
            buf_consume(in, at);
            *ret_code = code;
            return SMTP_GOT_REPLY;
        }
    }
    return in->len > SMTP_REPLY_MAX ? SMTP_GOT_GARBAGE : SMTP_GOT_NONE;
}

/* --- one mail --------------------------------------------------------------------------------- */

static bool is_address(const char *s)
{
    size_t n = 0;

    for (; s[n] != '\0'; n++) {
        if (n == ADDRESS_MAX || s[n] <= ' ' || s[n] == 0x7f || s[n] == '<' || s[n] == '>')
            return false; /* char may be signed: bytes over 0x7f fall here, too */
        if ((unsigned char)s[n] > 0x7f)
            return false;
    }
    return n > 0;
}

static enum err add_commands(struct buf *out, const char *from, const char *const *to,
                             size_t n_to, struct fault *reterr)
{
    if (from[0] != '\0' && !is_address(from))
        return fault_set(reterr, ERR_MALFORMED, 0, "mail: the sender is no address");
    if (n_to == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "mail: no recipient");
    buf_addf(out, "MAIL FROM:<%s>\r\n", from);
    for (size_t i = 0; i < n_to; i++) {
        if (!is_address(to[i]))
            return fault_set(reterr, ERR_MALFORMED, 0, "mail: recipient %zu is no address",
                             i + 1);
        buf_addf(out, "RCPT TO:<%s>\r\n", to[i]);
    }
    buf_add_str(out, "DATA\r\n");
    return ERR_OK;
}

static bool lines_are_whole(struct slice m)
{
    for (size_t i = 0; i < m.len; i++) {
        if (m.ptr[i] == '\r' && (i + 1 == m.len || m.ptr[i + 1] != '\n'))
            return false;
        if (m.ptr[i] == '\n' && (i == 0 || m.ptr[i - 1] != '\r'))
            return false;
    }
    return true;
}

static void add_message(struct buf *out, struct slice m)
{
    size_t from = 0;

    while (from < m.len) {
        const char *lf = memchr(m.ptr + from, '\n', m.len - from);
        size_t end = lf == NULL ? m.len : (size_t)(lf - m.ptr) + 1;

        if (m.ptr[from] == '.')
            buf_add_char(out, '.');
        buf_add(out, m.ptr + from, end - from);
        from = end;
    }
    if (m.len > 0 && m.ptr[m.len - 1] != '\n')
        buf_add_str(out, "\r\n");
    buf_add_str(out, ".\r\n");
}

enum err smtp_dialogue_init(struct smtp_dialogue *d, const char *from, const char *const *to,
                            size_t n_to, struct slice message, struct fault *reterr)
{
    enum err e = add_commands(&d->commands, from, to, n_to, reterr);

    if (e == ERR_OK && !lines_are_whole(message))
        e = fault_set(reterr, ERR_MALFORMED, 0, "mail: a line does not end in CR LF");
    if (e == ERR_OK) {
        add_message(&d->message, message);
        if (buf_failed(&d->commands) || buf_failed(&d->message))
            e = fault_set(reterr, ERR_NOMEM, 0, "mail");
    }
    if (e != ERR_OK)
        smtp_dialogue_done(d);
    return e;
}

void smtp_dialogue_done(struct smtp_dialogue *d)
{
    buf_done(&d->commands);
    buf_done(&d->message);
}

static struct slice next_command(struct smtp_dialogue *d)
{
    const char *start = d->commands.data + d->at;
    const char *lf = memchr(start, '\n', d->commands.len - d->at);
    struct slice command;

    must(lf != NULL);
    command = slice_of(start, (size_t)(lf - start) + 1);
    d->at += command.len;
    return command;
}

struct slice smtp_dialogue_begin(struct smtp_dialogue *d)
{
    d->at = 0;
    d->stage = SMTP_ASKING;
    d->progressed = false;
    return next_command(d);
}

enum smtp_move smtp_dialogue_reply(struct smtp_dialogue *d, int code, struct slice *ret_next)
{
    bool data_given = d->at == d->commands.len;

    if (d->stage == SMTP_OVER)
        return SMTP_MOVE_CONFUSED;
    if (code >= 400) {
        d->stage = SMTP_OVER;
        return SMTP_MOVE_REFUSED;
    }
    if ((code >= 300) != (d->stage == SMTP_ASKING && data_given))
        return SMTP_MOVE_CONFUSED; /* 354 belongs to DATA, and only to it */
    d->progressed = true;
    if (d->stage == SMTP_SENDING) {
        d->stage = SMTP_OVER;
        return SMTP_MOVE_ACCEPTED;
    }
    if (data_given) {
        d->stage = SMTP_SENDING;
        *ret_next = buf_slice(&d->message);
    } else {
        *ret_next = next_command(d);
    }
    return SMTP_MOVE_NEXT;
}
