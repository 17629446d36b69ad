#include "shared/config_file.h"

#include "shared/buf.h"

struct file {
    const char *at, *end;
    unsigned line;       /* where the cursor is */
    unsigned first_line; /* where the assignment began */
    struct buf key, value;
    const struct config_file_reader *to;
};

static bool at_end(const struct file *f)
{
    return f->at == f->end;
}

static bool at_char(const struct file *f, char c)
{
    return !at_end(f) && *f->at == c;
}

static char next(struct file *f)
{
    char c = *f->at++;

    if (c == '\n')
        f->line++;
    return c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct file *f)
{
    while (!at_end(f) && is_blank(*f->at))
        f->at++;
}

static void skip_line(struct file *f)
{
    while (!at_end(f) && next(f) != '\n')
        ;
}

static void bad(struct file *f, const char *why)
{
    f->to->on_bad(f->to->arg, f->first_line, why);
}

/* Up to the '='. */
static bool read_key(struct file *f)
{
    while (!at_end(f) && *f->at != '\n' && *f->at != '=')
        buf_add_char(&f->key, next(f));
    while (f->key.len > 0 && is_blank(f->key.data[f->key.len - 1]))
        buf_truncate(&f->key, f->key.len - 1);
    if (!at_char(f, '=')) {
        bad(f, "no '=' in this line");
        return false;
    }
    (void)next(f);
    return true;
}

static bool read_single_quoted(struct file *f)
{
    (void)next(f);
    while (!at_end(f) && *f->at != '\'')
        buf_add_char(&f->value, next(f));
    if (at_end(f))
        return false;
    (void)next(f);
    return true;
}

static void read_escape(struct file *f)
{
    char c;

    if (at_end(f))
        return;
    c = next(f);
    if (c == '\n')
        return;
    if (c == '\0' || strchr("\"\\`$", c) == NULL)
        buf_add_char(&f->value, '\\');
    buf_add_char(&f->value, c);
}

static bool read_double_quoted(struct file *f)
{
    (void)next(f);
    while (!at_end(f) && *f->at != '"') {
        char c = next(f);

        if (c == '\\')
            read_escape(f);
        else
            buf_add_char(&f->value, c);
    }
    if (at_end(f))
        return false;
    (void)next(f);
    return true;
}

static void read_unquoted(struct file *f)
{
    size_t keep = f->value.len; /* blanks behind this are dropped at the end */

    while (!at_end(f) && *f->at != '\n') {
        char c = next(f);

        if (c != '\\') {
            buf_add_char(&f->value, c);
            keep = is_blank(c) ? keep : f->value.len;
        } else if (!at_end(f)) {
            c = next(f);
            if (c != '\n')
                buf_add_char(&f->value, c);
            keep = f->value.len;
        }
    }
    buf_truncate(&f->value, keep);
}

/* Quoted pieces may stand one after the other; quotes inside an unquoted value are text. */
static bool read_value(struct file *f)
{
    bool closed = true;

    for (skip_blanks(f); closed && (at_char(f, '\'') || at_char(f, '"')); skip_blanks(f))
        closed = at_char(f, '"') ? read_double_quoted(f) : read_single_quoted(f);
    if (!closed) {
        bad(f, "a quote that is never closed");
        return false;
    }
    read_unquoted(f);
    return true;
}

static void give(struct file *f)
{
    if (buf_failed(&f->key) || buf_failed(&f->value))
        bad(f, "out of memory");
    else if (memchr(buf_cstr(&f->key), '\0', f->key.len) != NULL ||
             memchr(buf_cstr(&f->value), '\0', f->value.len) != NULL)
        bad(f, "a NUL byte");
    else
        f->to->on_set(f->to->arg, f->first_line, buf_cstr(&f->key), buf_cstr(&f->value));
}

void config_file_parse(struct slice text, const struct config_file_reader *to)
{
    struct file f = {.line = 1, .to = to};

    f.at = text.ptr;
    f.end = text.ptr + text.len;
    for (skip_blanks(&f); !at_end(&f); skip_blanks(&f)) {
        f.first_line = f.line;
        if (at_char(&f, '#') || at_char(&f, ';')) {
            skip_line(&f);
        } else if (at_char(&f, '\n')) {
            (void)next(&f);
        } else {
            buf_clear(&f.key);
            buf_clear(&f.value);
            if (read_key(&f) && read_value(&f))
                give(&f);
        }
    }
    buf_done(&f.key);
    buf_done(&f.value);
}
