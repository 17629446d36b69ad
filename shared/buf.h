/* buf: a growing run of bytes with one owner.
 *
 * Failure sticks: after an append that could not allocate, or that would pass `limit`,
 * buf_failed() is true and later appends do nothing. So a writer checks once, at the end.
 * data is always NUL-terminated when non-NULL (the NUL is not counted in len).
 * A zeroed struct is a valid empty buffer with no limit. */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H

#include <stdarg.h>

#include "shared/err.h"
#include "shared/slice.h"

struct buf {
    char *data;
    size_t len, cap;
    size_t limit; /* 0: none */
    bool failed;
};

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);  /* frees, leaves an empty buffer with the same limit */
void buf_clear(struct buf *b); /* len = 0, failure forgotten, memory kept */

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_str(struct buf *b, const char *s);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_char(struct buf *b, char c);
/* Texts one behind the other: BUF_ADD_STRS(b, "a", name, "c"). Where printf would be a good part of the cost. */
void buf_add_strs(struct buf *b, const char *const *strs, size_t n);
#define BUF_ADD_STRS(b, ...)                            \
    buf_add_strs(b, (const char *const[]){__VA_ARGS__}, \
                 COUNT_OF(((const char *const[]){__VA_ARGS__})))
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Makes room for n more bytes and gives where they go (NULL on failure); then buf_commit(). */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Drops what lies behind the first n bytes. */
void buf_truncate(struct buf *b, size_t n);
/* Hands out the memory (may be NULL if nothing was ever added); the buffer is empty after. */
char *buf_detach(struct buf *b, size_t *ret_len);

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data == NULL ? "" : b->data, b->len};
}

static inline const char *buf_cstr(const struct buf *b)
{
    return b->data == NULL ? "" : b->data;
}

#endif
