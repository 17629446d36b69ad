/* Requests as bytes, to a whole server on a socket pair, once in one piece and once in pieces of
 * any size. Byte 0 seeds the sizes; the rest is what the client sends before it half-closes.
 * Checked: no crash, the answers have the same statuses in the same order both times, and no
 * connection and no body is left. */
#include "tests/fuzz/api_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ANSWERS_MAX 4096

struct answers {
    struct heard heard;
    unsigned status[ANSWERS_MAX];
    size_t n;
};

/* 100 depends on how the bytes come, so it does not count. No body holds such a line. */
static void read_statuses(struct answers *a)
{
    const char *at = buf_cstr(&a->heard.bytes), *end = at + a->heard.bytes.len;

    a->n = 0;
    while ((at = memmem(at, (size_t)(end - at), "HTTP/1.1 ", 9)) != NULL) {
        unsigned status = (unsigned)strtoul(at + 9, NULL, 10);

        at += 9;
        if (status != 100 && a->n < ANSWERS_MAX)
            a->status[a->n++] = status;
    }
}

static size_t next_piece(void *arg, size_t left)
{
    uint32_t *seed = arg;
    size_t n;

    if (*seed == 0)
        return left;
    *seed = *seed * 1664525u + 1013904223u;
    n = 1 + (*seed >> 16) % ((*seed & 0x700) == 0 ? 700 : 8);
    return n < left ? n : left;
}

static void play(struct answers *a, uint32_t seed, struct slice sent)
{
    api_world_play(&a->heard, sent, next_piece, &seed);
    read_statuses(a);
    buf_done(&a->heard.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct answers whole, sliced;

    if (len < 2)
        return 0;
    play(&whole, 0, slice_of(data + 1, len - 1));
    play(&sliced, data[0] + 1u, slice_of(data + 1, len - 1));
    must(whole.n == sliced.n);
    must(memcmp(whole.status, sliced.status, whole.n * sizeof whole.status[0]) == 0);
    return 0;
}
