/* wire: what a worker and its renderer say to each other: 4 bytes of length (big-endian), then
 * one msgpack map whose "m" names the message.
 *
 *     worker                          renderer
 *        <-------- hello ---------------  it has started and sits in its sandbox
 *        --------- order -------------->
 *        <-------- slow ----------------  it will take long; an order that is not wide ends with this
 *        <-------- progress ... --------
 *        <-------- report --------------  or crash: its last words, from a signal handler
 *
 * Neither side trusts the other's lengths: a body is bounded, and passes mp_check before it is
 * read. Nothing here does I/O. */
#ifndef WORKER_RENDER_WIRE_H
#define WORKER_RENDER_WIRE_H

#include "queue/spec.h"
#include "worker/render/wire_info.h"

#define WIRE_VERSION     3
#define WIRE_HEAD        4
#define WIRE_BODY_MAX    (JOB_ITEM_MAX + 4096)
#define WIRE_OUTPUTS_MAX SPEC_IMAGE_OUTPUTS_MAX
#define WIRE_CRASH_SIZE  96

enum wire_kind { WIRE_HELLO, WIRE_ORDER, WIRE_SLOW, WIRE_PROGRESS, WIRE_REPORT, WIRE_CRASH };

struct wire_hello {
    uint32_t version;
    uint32_t landlock; /* ABI in force; 0: the kernel has none */
    char vips[32];     /* version of the library */
};
struct wire_order {
    uint64_t id;
    uint64_t pixels, output_pixels, output_bytes, frames, cpu_ms,
        svg_bytes;     /* limits (pool.h) */
    uint64_t slow_us;  /* from this predicted cost on (child/cost.h) it is slow; 0: never */
    bool wide;         /* it is to be done even if it is */
    struct slice args; /* encoded; borrowed from the body */
};
struct wire_slow {
    uint64_t id, us; /* what is predicted */
};
struct wire_progress {
    uint64_t id;
    uint32_t pct;
};
struct wire_output {
    uint32_t index; /* into the order's outputs; the file is out/<index> */
    enum image_format format;
    uint32_t width, height; /* of one frame */
    uint32_t frames;        /* 1, unless it moves */
    uint32_t quality;       /* with which it was written; 0: it lost nothing */
    uint64_t bytes;
};
struct wire_report {
    uint64_t id;
    enum err err; /* not OK: text says why, and only id, err, text and the counts are filled */
    char text[200];
    enum image_format source_format;
    uint32_t source_width, source_height;
    struct wire_output outputs[WIRE_OUTPUTS_MAX];
    size_t n_outputs;
    bool has_info; /* the order asked for a description */
    struct wire_info info;
    uint64_t cpu_us, predicted_us;
    uint64_t peak_rss, rss; /* bytes: highest during the order, and now */
};
struct wire_crash {
    uint32_t signal;
    uint64_t peak_vm, peak_rss; /* bytes */
};
struct wire_msg {
    enum wire_kind kind;
    union {
        struct wire_hello hello;
        struct wire_order order;
        struct wire_slow slow;
        struct wire_progress progress;
        struct wire_report report;
        struct wire_crash crash;
    } u;
};

/* Each appends one whole frame; a failure sticks to the buf. */
void wire_add_hello(struct buf *out, const struct wire_hello *m);
void wire_add_order(struct buf *out, const struct wire_order *m);
void wire_add_slow(struct buf *out, const struct wire_slow *m);
void wire_add_progress(struct buf *out, const struct wire_progress *m);
void wire_add_report(struct buf *out, const struct wire_report *m);
/* Safe in a signal handler: writes a frame into dst and gives its length. */
size_t wire_put_crash(uint8_t dst[WIRE_CRASH_SIZE], const struct wire_crash *m);

/* Length of the body that a head announces. ERR_TOO_BIG over WIRE_BODY_MAX, ERR_MALFORMED
 * for 0. */
MUST_USE enum err wire_body_len(const char head[WIRE_HEAD], size_t *ret);
/* Takes a body. Slices of *ret point into it. Texts are made printable. */
MUST_USE enum err wire_decode(struct slice body, struct wire_msg *ret, struct fault *reterr);

/* Replaces whatever is not printable ASCII by '?'. For texts that came from outside. */
void wire_printable(char *text);

#endif
