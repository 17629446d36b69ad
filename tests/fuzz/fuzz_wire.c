/* Any bytes as a stream of frames, as the pool reads what a renderer sends. A message that
 * is taken can be written again, and is read again as the same. */
#include <string.h>

#include "worker/render/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void write_again(const struct wire_msg *m, struct buf *out)
{
    uint8_t crash[WIRE_CRASH_SIZE];

    switch (m->kind) {
    case WIRE_HELLO:
        wire_add_hello(out, &m->u.hello);
        break;
    case WIRE_ORDER:
        wire_add_order(out, &m->u.order);
        break;
    case WIRE_SLOW:
        wire_add_slow(out, &m->u.slow);
        break;
    case WIRE_PROGRESS:
        wire_add_progress(out, &m->u.progress);
        break;
    case WIRE_REPORT:
        wire_add_report(out, &m->u.report);
        break;
    case WIRE_CRASH:
        buf_add(out, crash, wire_put_crash(crash, &m->u.crash));
        break;
    }
}

static bool same(const struct wire_msg *a, const struct wire_msg *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == WIRE_ORDER)
        return a->u.order.id == b->u.order.id && a->u.order.pixels == b->u.order.pixels &&
               a->u.order.output_pixels == b->u.order.output_pixels &&
               a->u.order.slow_us == b->u.order.slow_us && a->u.order.wide == b->u.order.wide &&
               slice_eq(a->u.order.args, b->u.order.args);
    if (a->kind == WIRE_REPORT && a->u.report.err != ERR_OK)
        return a->u.report.err == b->u.report.err &&
               strcmp(a->u.report.text, b->u.report.text) == 0;
    return memcmp(&a->u, &b->u, sizeof a->u) == 0;
}

static void check_message(const struct wire_msg *m)
{
    struct buf frame = {0};
    struct wire_msg again;
    size_t n = 0;

    write_again(m, &frame);
    must(!buf_failed(&frame) && wire_body_len(frame.data, &n) == ERR_OK &&
         n == frame.len - WIRE_HEAD);
    must(wire_decode(slice_of(frame.data + WIRE_HEAD, n), &again, NULL) == ERR_OK);
    must(same(m, &again));
    buf_done(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest = slice_of(data, len);
    struct wire_msg m;
    struct fault why;
    size_t n = 0;

    while (rest.len >= WIRE_HEAD && wire_body_len(rest.ptr, &n) == ERR_OK &&
           n <= rest.len - WIRE_HEAD) {
        if (wire_decode(slice_of(rest.ptr + WIRE_HEAD, n), &m, &why) == ERR_OK)
            check_message(&m);
        rest = slice_of(rest.ptr + WIRE_HEAD + n, rest.len - WIRE_HEAD - n);
    }
    return 0;
}
