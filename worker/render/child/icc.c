#include "worker/render/child/icc.h"

#define HEADER_SIZE  128
#define TAGS_MAX     100
#define NAME_MAX_LEN 64

/* Whole names: "sRGB-elle-V2-g10" and its like are linear, or differ otherwise. "c2" is the
 * tiny sRGB of Facebook; "sRGB built-in" is lcms' own. */
static const char *const names[] = {
    "sRGB IEC61966-2.1",
    "sRGB IEC61966-2-1",
    "sRGB IEC61966-2-1 black scaled",
    "sRGB built-in",
    "sRGB",
    "sRGB2014",
    "c2",
};

static uint32_t be32(struct slice s, size_t at)
{
    const uint8_t *p = (const uint8_t *)s.ptr + at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ICC 2: "desc", 4 zeroes, length with NUL, ASCII. */
static bool read_desc(struct slice tag, char name[NAME_MAX_LEN])
{
    size_t len;

    if (tag.len < 12)
        return false;
    len = be32(tag, 8);
    if (len == 0 || len > tag.len - 12 || len > NAME_MAX_LEN)
        return false;
    memcpy(name, tag.ptr + 12, len);
    name[len - 1] = '\0';
    return true;
}

/* ICC 4: "mluc", 4 zeroes, count, record size, then {language, length, offset} and UTF-16BE. */
static bool read_mluc(struct slice tag, char name[NAME_MAX_LEN])
{
    size_t len, at;

    if (tag.len < 28 || be32(tag, 8) == 0)
        return false;
    len = be32(tag, 20) / 2;
    at = be32(tag, 24);
    if (len >= NAME_MAX_LEN || at > tag.len || len * 2 > tag.len - at)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (tag.ptr[at + 2 * i] != 0)
            return false;
        name[i] = tag.ptr[at + 2 * i + 1];
    }
    name[len] = '\0';
    return true;
}

static bool find_tag(struct slice profile, const char *four, struct slice *ret)
{
    uint32_t n = be32(profile, HEADER_SIZE);

    for (uint32_t i = 0; i < n && i < TAGS_MAX; i++) {
        size_t entry = HEADER_SIZE + 4 + (size_t)i * 12;
        size_t at, len;

        if (entry + 12 > profile.len)
            return false;
        if (memcmp(profile.ptr + entry, four, 4) != 0)
            continue;
        at = be32(profile, entry + 4);
        len = be32(profile, entry + 8);
        if (at > profile.len || len > profile.len - at)
            return false;
        *ret = slice_of(profile.ptr + at, len);
        return true;
    }
    return false;
}

bool icc_is_srgb(struct slice profile)
{
    char name[NAME_MAX_LEN];
    struct slice tag;

    if (profile.len < HEADER_SIZE + 4 || memcmp(profile.ptr + 16, "RGB ", 4) != 0 ||
        !find_tag(profile, "desc", &tag))
        return false;
    if (slice_starts(tag, "desc") ? !read_desc(tag, name)
                                  : !slice_starts(tag, "mluc") || !read_mluc(tag, name))
        return false;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}
