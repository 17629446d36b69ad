/* A stream of lines, to the reader alone and to POST /v1/jobs/batch of a whole server: once at one go, and once in chunks
 * and packets that are cut anywhere.
 *
 * Byte 0, modulo 32, says how many sizes follow it, a byte each; the rest is the stream. The sizes, over and over, are those of
 * the chunks; beginning at the second, those of the packets. Checked: the same lines with the same numbers, the same verdicts and
 * the same sum both times; no line is longer than the limit or has an LF; the reader holds no more than a line and a piece; no
 * body is left behind. Redis is away, so a good line ends the stream. */
#include "tests/fuzz/api_world.h"

#include "shared/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define READER_MAX 16 /* bytes of a line, for the reader alone */
#define SERVER_MAX \
    2048 /* bytes of a stream that the server is sent as well: each packet costs a turn of its loop */

/* --- where it is cut -------------------------------------------------------------------------- */

struct cuts {
    struct slice sizes; /* none: nowhere */
    size_t at;
};

static size_t next_piece(void *arg, size_t left)
{
    struct cuts *c = arg;
    size_t n;

    if (c->sizes.len == 0)
        return left;
    n = 1 + (size_t)(unsigned char)c->sizes.ptr[c->at++ % c->sizes.len];
    return n < left ? n : left;
}

/* --- the reader alone ------------------------------------------------------------------------- */

static void take(struct ndjson *n, struct buf *out)
{
    struct slice line = {NULL, 0};
    enum ndjson_next got;

    while ((got = ndjson_next(n, &line)) != NDJSON_MORE) {
        must(got == NDJSON_TOO_LONG || (line.len > 0 && line.len <= READER_MAX));
        must(got == NDJSON_TOO_LONG || memchr(line.ptr, '\n', line.len) == NULL);
        buf_addf(out, "%llu%c", (unsigned long long)n->line, got == NDJSON_LINE ? ':' : '!');
        if (got == NDJSON_LINE)
            buf_add_slice(out, line);
        buf_add_char(out, '\n');
    }
    must(ndjson_is_drained(n));
}

static void read_lines(struct slice stream, struct cuts cuts, struct buf *out)
{
    struct ndjson lines = {.max = READER_MAX};

    for (size_t at = 0; at < stream.len;) {
        size_t n = next_piece(&cuts, stream.len - at);

        must(ndjson_feed(&lines, slice_of(stream.ptr + at, n)));
        take(&lines, out);
        must(lines.in.len - lines.at <= READER_MAX + 1 + n);
        at += n;
    }
    ndjson_end(&lines);
    take(&lines, out);
    buf_addf(out, "%llu", (unsigned long long)lines.line);
    ndjson_done(&lines);
}

static void check_reader(struct slice stream, struct cuts cuts)
{
    struct buf one = {0}, two = {0};

    read_lines(stream, (struct cuts){.at = 0}, &one);
    read_lines(stream, cuts, &two);
    must(slice_eq(buf_slice(&one), buf_slice(&two)));
    buf_done(&one);
    buf_done(&two);
}

/* --- the server ------------------------------------------------------------------------------- */

#define HEAD "POST /v1/jobs/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"

static void write_chunks(struct slice stream, struct cuts cuts, struct buf *out)
{
    buf_add_str(out, HEAD "transfer-encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < stream.len;) {
        size_t n = next_piece(&cuts, stream.len - at);

        buf_addf(out, "%zx\r\n", n);
        buf_add(out, stream.ptr + at, n);
        buf_add_str(out, "\r\n");
        at += n;
    }
    buf_add_str(out, "0\r\n\r\n");
}

static void write_whole(struct slice stream, struct buf *out)
{
    buf_addf(out, HEAD "content-length: %zu\r\n\r\n", stream.len);
    buf_add_slice(out, stream);
}

/* The verdicts of the one answer, chunks put together. */
static void read_verdicts(const struct buf *answer, struct buf *out)
{
    const char *at = buf_cstr(answer), *body = strstr(at, "\r\n\r\n");
    size_t n = 1;
    char *end;

    must(strncmp(at, "HTTP/1.1 200 ", 13) == 0 && body != NULL);
    for (at = body + 4; n > 0; at = end + 2 + n + 2) {
        n = strtoul(at, &end, 16);
        must(end > at && strncmp(end, "\r\n", 2) == 0 && strncmp(end + 2 + n, "\r\n", 2) == 0);
        buf_add(out, end + 2, n);
    }
    must(at == buf_cstr(answer) + answer->len);
}

static void ask(const struct buf *request, struct cuts packets, struct buf *ret_verdicts)
{
    struct heard heard = {.ended = false};

    api_world_play(&heard, buf_slice(request), next_piece, &packets);
    read_verdicts(&heard.bytes, ret_verdicts);
    buf_done(&heard.bytes);
}

static void check_server(struct slice stream, struct cuts cuts)
{
    struct buf whole = {0}, chunks = {0}, one = {0}, two = {0};

    write_whole(stream, &whole);
    write_chunks(stream, cuts, &chunks);
    ask(&whole, (struct cuts){.at = 0}, &one);
    ask(&chunks, (struct cuts){cuts.sizes, 1}, &two);
    must(slice_eq(buf_slice(&one), buf_slice(&two)));
    must(one.len > 0 && one.data[one.len - 1] == '\n' &&
         strstr(one.data, "{\"done\":") != NULL);
    buf_done(&whole);
    buf_done(&chunks);
    buf_done(&one);
    buf_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t n = len > 0 ? data[0] % 32 : 0;
    struct cuts cuts = {.at = 0};
    struct slice stream;

    if (len <= n)
        return 0;
    cuts.sizes = slice_of(data + 1, n);
    stream = slice_of(data + 1 + n, len - 1 - n);
    check_reader(stream, cuts);
    if (stream.len <= SERVER_MAX)
        check_server(stream, cuts);
    return 0;
}
