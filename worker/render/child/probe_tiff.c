#include "worker/render/child/probe_walk.h"

/* TIFF: a chain of directories of {tag, type, count, value or offset}, 12 bytes each. */

#define DIRECTORIES_MAX 10000
#define TAG_WIDTH       256
#define TAG_HEIGHT      257

struct tiff {
    struct slice f;
    bool big_end;
};

static uint32_t number(const struct tiff *t, size_t at, unsigned bytes)
{
    return t->big_end ? probe_be(t->f, at, bytes) : probe_le(t->f, at, bytes);
}

static uint64_t size_of_type(uint32_t type)
{
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

    return type < COUNT_OF(sizes) ? sizes[type] : 1;
}

/* What an entry points to lies in the file, whatever it is. */
static const char *check_entry(const struct tiff *t, size_t at, struct probe *ret)
{
    uint32_t tag = number(t, at, 2);
    uint32_t type = number(t, at + 2, 2);
    uint32_t count = number(t, at + 4, 4);
    uint64_t bytes = size_of_type(type) * count;

    if (bytes > 4 && (uint64_t)number(t, at + 8, 4) + bytes > t->f.len)
        return "a value is longer than the file";
    if ((tag == TAG_WIDTH || tag == TAG_HEIGHT) && count == 1) {
        uint32_t value = number(t, at + 8, type == 3 ? 2 : 4);

        probe_grow(ret, tag == TAG_WIDTH ? value : 0, tag == TAG_HEIGHT ? value : 0);
    }
    return NULL;
}

/* *at: of the directory; becomes that of the next, or 0. */
static const char *check_directory(const struct tiff *t, size_t *at, struct probe *ret)
{
    size_t n, end;

    if (*at < 8 || *at > t->f.len || t->f.len - *at < 6)
        return "a directory lies outside of the file";
    n = number(t, *at, 2);
    end = *at + 2 + n * 12;
    if (n == 0 || end + 4 > t->f.len)
        return "a directory is longer than the file";
    for (size_t i = 0; i < n; i++) {
        const char *wrong = check_entry(t, *at + 2 + i * 12, ret);

        if (wrong != NULL)
            return wrong;
    }
    *at = number(t, end, 4);
    return NULL;
}

const char *probe_walk_tiff(struct slice f, struct probe *ret)
{
    struct tiff t = {.f = f, .big_end = f.ptr[0] == 'M'};
    size_t at;

    if (f.len < 8)
        return "it is cut off";
    at = number(&t, 4, 4);
    for (unsigned n = 0; n < DIRECTORIES_MAX; n++) {
        const char *wrong = check_directory(&t, &at, ret);

        if (wrong != NULL)
            return wrong;
        if (at == 0)
            return NULL;
    }
    return "its directories do not end";
}
