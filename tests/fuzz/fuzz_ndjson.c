/* Any bytes as lines, once in one piece and once in pieces whose sizes byte 0 seeds. Checked: the same lines with the
 * same numbers both times, none longer than the limit, none with an LF, and no more held than a line and a piece. */
#include "shared/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX 16

static void take(struct ndjson *n, struct buf *out)
{
    struct slice line = {NULL, 0};
    enum ndjson_next got;

    while ((got = ndjson_next(n, &line)) != NDJSON_MORE) {
        must(got == NDJSON_TOO_LONG || (line.len > 0 && line.len <= MAX));
        must(got == NDJSON_TOO_LONG || memchr(line.ptr, '\n', line.len) == NULL);
        buf_addf(out, "%llu%c", (unsigned long long)n->line, got == NDJSON_LINE ? ':' : '!');
        if (got == NDJSON_LINE)
            buf_add_slice(out, line);
        buf_add_char(out, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ndjson whole = {.max = MAX}, pieces = {.max = MAX};
    struct buf one = {0}, two = {0};
    uint32_t seed = len > 0 ? data[0] : 0;

    must(ndjson_feed(&whole, slice_of(data, len)));
    ndjson_end(&whole);
    take(&whole, &one);
    for (size_t at = 0; at < len;) {
        size_t n = 1 + (seed >> 16) % 24;

        seed = seed * 1664525u + 1013904223u;
        n = n < len - at ? n : len - at;
        must(ndjson_feed(&pieces, slice_of(data + at, n)));
        take(&pieces, &two);
        must(pieces.in.len - pieces.at <= MAX + 1 + n);
        at += n;
    }
    ndjson_end(&pieces);
    take(&pieces, &two);
    must(slice_eq(buf_slice(&one), buf_slice(&two)));
    must(whole.line == pieces.line);
    ndjson_done(&whole);
    ndjson_done(&pieces);
    buf_done(&one);
    buf_done(&two);
    return 0;
}
