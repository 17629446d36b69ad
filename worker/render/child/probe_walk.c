#include "worker/render/child/probe_walk.h"

/* --- PNG: chunks of {length, type, data, CRC} ------------------------------------------------ */

const char *probe_walk_png(struct slice f, struct probe *ret)
{
    size_t at = 8;
    bool seen_data = false;

    if (f.len < 33 || probe_be(f, at, 4) != 13 || !probe_is(f, at + 4, "IHDR"))
        return "it does not begin with a header";
    probe_grow(ret, probe_be(f, at + 8, 4), probe_be(f, at + 12, 4));
    if (ret->width > INT32_MAX || ret->height > INT32_MAX)
        return "an impossible size";
    for (;;) {
        size_t len;

        if (f.len - at < 12)
            return "it is cut off";
        len = probe_be(f, at, 4);
        if (len > f.len - at - 12)
            return "a chunk is longer than the file";
        if (probe_is(f, at + 4, "IEND"))
            return seen_data ? NULL : "it holds no picture";
        seen_data = seen_data || probe_is(f, at + 4, "IDAT");
        at += len + 12;
    }
}

/* --- JPEG: segments of {FF, marker, length, data} up to the first scan
 * ------------------------ */

static bool jpeg_has_no_length(unsigned marker)
{
    return marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/* All frame headers (SOF0..15) but the tables that share their range: DHT, JPG, DAC. */
static bool jpeg_is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
           marker != 0xcc;
}

static const char *jpeg_frame(struct slice f, size_t at, size_t len, struct probe *ret)
{
    if (len < 8)
        return "its frame header is too short";
    if (ret->width != 0)
        return "it has two frames";
    probe_grow(ret, probe_be(f, at + 5, 2), probe_be(f, at + 3, 2));
    return ret->width == 0 || ret->height == 0 ? "it has no size" : NULL;
}

/* Gives the offset behind the next marker's code, or 0 at the end. Cameras leave padding
 * before a marker, which decoders skip. */
static size_t jpeg_next(struct slice f, size_t at)
{
    while (at < f.len && (uint8_t)f.ptr[at] != 0xff)
        at++;
    while (at < f.len && (uint8_t)f.ptr[at] == 0xff)
        at++;
    return f.len - at < 3 ? 0 : at + 1;
}

/* Inside a scan FF is never followed by D9, so this is the end of the picture, and a file
 * that was cut off anywhere has none. The decoder would miss a little at the end only if
 * somebody asks for the last rows. */
static const char *jpeg_end(struct slice f, size_t at, const struct probe *p)
{
    if (p->width == 0)
        return "its picture has no header";
    if (memcmp(f.ptr + f.len - 2, "\xff\xd9", 2) == 0)
        return NULL;
    return memmem(f.ptr + at, f.len - at, "\xff\xd9", 2) == NULL ? "it is cut off" : NULL;
}

const char *probe_walk_jpeg(struct slice f, struct probe *ret)
{
    size_t at = jpeg_next(f, 2);

    for (; at != 0; at = jpeg_next(f, at)) {
        unsigned marker = (uint8_t)f.ptr[at - 1];
        const char *wrong = NULL;
        size_t len;

        if (jpeg_has_no_length(marker))
            continue;
        if (marker == 0xd9)
            return "it ends before its picture";
        len = probe_be(f, at, 2);
        if (len < 2 || len > f.len - at)
            return "a segment is longer than the file";
        if (marker == 0xda)
            return jpeg_end(f, at, ret);
        if (jpeg_is_frame(marker))
            wrong = jpeg_frame(f, at, len, ret);
        if (wrong != NULL)
            return wrong;
        at += len;
    }
    return "it is cut off before its picture";
}

/* --- GIF: header, colour table, then blocks that end with an empty sub-block
 * ------------------- */

/* Gives the offset behind the sub-blocks, or 0 if they run over the end. */
static size_t gif_skip_blocks(struct slice f, size_t at)
{
    while (at < f.len) {
        size_t n = (uint8_t)f.ptr[at];

        if (n == 0)
            return at + 1;
        at += n + 1;
    }
    return 0;
}

static size_t gif_table_len(unsigned flags)
{
    return (flags & 0x80) != 0 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* at: behind the 0x2c of an image. Only the first is decoded, so the walk ends with it. */
static const char *gif_image(struct slice f, size_t at, struct probe *ret)
{
    if (f.len - at < 9)
        return "it is cut off";
    probe_grow(ret, probe_le(f, at, 2) + probe_le(f, at + 4, 2),
               probe_le(f, at + 2, 2) + probe_le(f, at + 6, 2));
    at += 9 + gif_table_len((uint8_t)f.ptr[at + 8]);
    if (at >= f.len || gif_skip_blocks(f, at + 1) == 0)
        return "its picture is cut off";
    return NULL;
}

const char *probe_walk_gif(struct slice f, struct probe *ret)
{
    size_t at;

    if (f.len < 14)
        return "it is cut off";
    probe_grow(ret, probe_le(f, 6, 2), probe_le(f, 8, 2));
    at = 13 + gif_table_len((uint8_t)f.ptr[10]);
    while (at < f.len) {
        switch ((uint8_t)f.ptr[at]) {
        case 0x2c:
            return gif_image(f, at + 1, ret);
        case 0x21: /* extension: label, sub-blocks */
            at = gif_skip_blocks(f, at + 2);
            if (at == 0)
                return "an extension is cut off";
            break;
        case 0x3b:
            return "it holds no picture";
        default:
            return "an unknown block";
        }
    }
    return "it is cut off before its picture";
}

/* --- WebP: RIFF chunks, padded to even
 * -------------------------------------------------------- */

static const char *webp_lossy(struct slice f, size_t at, size_t len, struct probe *ret)
{
    if (len < 10 || memcmp(f.ptr + at + 3, "\x9d\x01\x2a", 3) != 0)
        return "its VP8 frame has no header";
    probe_grow(ret, probe_le(f, at + 6, 2) & 0x3fff, probe_le(f, at + 8, 2) & 0x3fff);
    return NULL;
}

static const char *webp_lossless(struct slice f, size_t at, size_t len, struct probe *ret)
{
    uint32_t bits;

    if (len < 5 || (uint8_t)f.ptr[at] != 0x2f)
        return "its VP8L frame has no header";
    bits = probe_le(f, at + 1, 4);
    probe_grow(ret, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    return NULL;
}

static const char *webp_canvas(struct slice f, size_t at, size_t len, struct probe *ret)
{
    if (len < 10)
        return "its canvas has no size";
    probe_grow(ret, probe_le(f, at + 4, 3) + 1, probe_le(f, at + 7, 3) + 1);
    return NULL;
}

static const char *webp_chunk(struct slice f, size_t at, size_t len, struct probe *ret)
{
    if (probe_is(f, at, "VP8 "))
        return webp_lossy(f, at + 8, len, ret);
    if (probe_is(f, at, "VP8L"))
        return webp_lossless(f, at + 8, len, ret);
    if (probe_is(f, at, "VP8X"))
        return webp_canvas(f, at + 8, len, ret);
    if (probe_is(f, at, "ANMF") && len >= 16)
        probe_grow(ret, probe_le(f, at + 14, 3) + 1, probe_le(f, at + 17, 3) + 1);
    return NULL;
}

const char *probe_walk_webp(struct slice f, struct probe *ret)
{
    uint64_t end = (uint64_t)probe_le(f, 4, 4) + 8;
    size_t at = 12;

    if (end > f.len)
        return "it is shorter than its header says";
    while (at + 8 <= end) {
        uint64_t len = probe_le(f, at + 4, 4);
        const char *wrong;

        if (len > end - at - 8)
            return "a chunk is longer than the file";
        wrong = webp_chunk(f, at, (size_t)len, ret);
        if (wrong != NULL)
            return wrong;
        at += 8 + (size_t)(len + (len & 1));
    }
    return ret->width == 0 ? "it holds no picture" : NULL;
}

/* --- AVIF: boxes of {length, type, data}, some inside others
 * ----------------------------------- */

#define AVIF_DEPTH_MAX 4

/* True for the boxes whose insides lead to the size; *ret_skip bytes of theirs come first. */
static bool avif_opens(struct slice f, size_t at, size_t *ret_skip)
{
    if (probe_is(f, at, "meta")) {
        *ret_skip = 4; /* version and flags */
        return true;
    }
    *ret_skip = 0;
    return probe_is(f, at, "iprp") || probe_is(f, at, "ipco");
}

/* Reads the head of the box at `at`. Gives false if it does not fit before end. */
static bool avif_box(struct slice f, size_t at, size_t end, size_t *ret_head, size_t *ret_len)
{
    uint64_t len;
    size_t head = 8;

    if (end - at < 8)
        return false;
    len = probe_be(f, at, 4);
    if (len == 1) {
        if (end - at < 16)
            return false;
        len = (uint64_t)probe_be(f, at + 8, 4) << 32 | probe_be(f, at + 12, 4);
        head = 16;
    } else if (len == 0) {
        len = end - at; /* to the end */
    }
    *ret_head = head;
    *ret_len = (size_t)len;
    return len >= head && len <= end - at;
}

/* ispe holds the size of an item; tiles of a grid are smaller than the whole, which has its
 * own. */
static const char *avif_walk(struct slice f, struct probe *ret)
{
    size_t ends[AVIF_DEPTH_MAX] = {f.len};
    size_t at = 0;
    unsigned depth = 0;

    for (;;) {
        size_t head, len, skip;

        while (at == ends[depth] && depth > 0)
            depth--;
        if (depth == 0 && f.len - at < 8)
            return NULL;
        if (!avif_box(f, at, ends[depth], &head, &len))
            return "a box is longer than the file";
        if (probe_is(f, at + 4, "ispe") && len >= head + 12)
            probe_grow(ret, probe_be(f, at + head + 4, 4), probe_be(f, at + head + 8, 4));
        if (!avif_opens(f, at + 4, &skip) || head + skip > len || depth + 1 == AVIF_DEPTH_MAX) {
            at += len;
            continue;
        }
        ends[++depth] = at + len;
        at += head + skip;
    }
}

const char *probe_walk_avif(struct slice f, struct probe *ret)
{
    const char *wrong = avif_walk(f, ret);

    if (wrong != NULL)
        return wrong;
    return ret->width == 0 ? "it holds no picture" : NULL;
}
