/* slice: a borrowed run of bytes; never NUL-terminated, never owned. */
#ifndef SHARED_SLICE_H
#define SHARED_SLICE_H

#include <string.h>

#include "shared/base.h"

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE_LIT(s) ((struct slice){"" s, sizeof(s) - 1})
#define SLICE_FMT    "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s == NULL ? 0 : strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

static inline bool slice_starts(struct slice a, const char *s)
{
    size_t n = strlen(s);

    return a.len >= n && memcmp(a.ptr, s, n) == 0;
}

/* Copies into a C string, cutting what does not fit. Gives false if it cut or met a NUL. */
static inline bool slice_to_cstr(struct slice s, char *dst, size_t cap)
{
    size_t n = s.len < cap ? s.len : cap - 1;

    if (n > 0)
        memcpy(dst, s.ptr, n);
    dst[n] = '\0';
    return n == s.len && memchr(dst, '\0', n) == NULL;
}

#endif
