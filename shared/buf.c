#include "shared/buf.h"

#define FIRST_CAP 64

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->limit);
}

void buf_clear(struct buf *b)
{
    b->failed = false;
    buf_truncate(b, 0);
}

/* Doubling keeps appending linear; the limit keeps doubling from passing it. */
static size_t next_cap(const struct buf *b, size_t want)
{
    size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap * 2;

    if (b->limit != 0 && cap - 1 > b->limit)
        cap = b->limit + 1;
    return cap < want ? want : cap;
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t most = b->limit != 0 && b->limit < PTRDIFF_MAX / 2 ? b->limit : PTRDIFF_MAX / 2;

    if (b->failed)
        return NULL;
    if (b->len > most || n > most - b->len) {
        b->failed = true;
        return NULL;
    }
    if (b->data == NULL || b->cap - b->len <= n) { /* one byte more, for the NUL */
        size_t cap = next_cap(b, b->len + n + 1);
        char *grown = realloc(b->data, cap);

        if (grown == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->cap = cap;
        b->data[b->len] = '\0';
    }
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    must(b->data != NULL && n < b->cap - b->len);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    char *to;

    if (len == 0)
        return;
    to = buf_reserve(b, len);
    if (to == NULL)
        return;
    memcpy(to, bytes, len);
    buf_commit(b, len);
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_strs(struct buf *b, const char *const *strs, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += strlen(strs[i]);
    if (buf_reserve(b, len) == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        buf_add_str(b, strs[i]);
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    size_t room = b->data == NULL ? 0 : b->cap - b->len;
    va_list again;
    int n;

    if (b->failed)
        return;
    va_copy(again, ap);
    n = vsnprintf(room == 0 ? NULL : b->data + b->len, room, fmt, ap);
    if (room > 0)
        b->data[b->len] = '\0'; /* what was written counts only once there is room for all */
    if (n < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)n) != NULL) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        buf_commit(b, (size_t)n);
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    must(n <= b->len);
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    buf_truncate(b, b->len - n);
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n >= b->len)
        return;
    b->len = n;
    b->data[n] = '\0';
}

char *buf_detach(struct buf *b, size_t *ret_len)
{
    char *data = b->data;

    if (ret_len != NULL)
        *ret_len = b->len;
    buf_init(b, b->limit);
    return data;
}
