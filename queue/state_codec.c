#include "queue/state_codec.h"

enum {
    ARRAY_OF_7 = 0x97,
    ARRAY_OF_2 = 0x92,
    ARRAY_OF_3 = 0x93,
    NIL = 0xc0,
    U16 = 0xcd,
    U32 = 0xce,
    U64 = 0xcf,
    STR8 = 0xd9,
};

/* --- writing --------------------------------------------------------------------------------- */

static void add_be(struct buf *out, int tag, uint64_t v, unsigned bytes)
{
    buf_add_char(out, (char)tag);
    for (unsigned i = bytes; i > 0; i--)
        buf_add_char(out, (char)(v >> (8 * (i - 1)) & 0xff));
}

void state_put_u32(uint32_t v, char dst[4])
{
    for (unsigned i = 0; i < 4; i++)
        dst[i] = (char)(v >> (24 - 8 * i) & 0xff);
}

size_t state_cut(struct slice text, size_t max)
{
    size_t len = text.len < max ? text.len : max;

    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void state_add_str(struct slice text, size_t max, struct buf *out)
{
    size_t len = state_cut(text, max);

    must(max <= 255);
    buf_add_char(out, (char)STR8);
    buf_add_char(out, (char)len);
    buf_add(out, text.ptr, len);
}

static void add_claim(const struct state_value *v, struct buf *out)
{
    buf_add_char(out, (char)ARRAY_OF_3);
    state_add_str(v->consumer, 255, out);
    buf_add_char(out, (char)v->progress);
    state_add_str(v->text, STATE_TEXT_MAX, out);
}

static void add_detail(const struct state_value *v, struct buf *out)
{
    switch (v->state) {
    case JOB_SCHEDULED:
    case JOB_RETRYING:
        buf_add_char(out, (char)ARRAY_OF_2);
        add_be(out, U64, v->due_ms, 8);
        state_add_str(v->text, STATE_TEXT_MAX, out);
        return;
    case JOB_RUNNING:
        add_claim(v, out);
        return;
    case JOB_QUEUED:
        buf_add_char(out, (char)NIL);
        return;
    case JOB_CANCELLED:
        if (v->consumer.len > 0)
            add_claim(v, out);
        else
            buf_add_char(out, (char)NIL);
        return;
    case JOB_SUCCEEDED:
    case JOB_DEAD:
    case JOB_EXPIRED:
        break;
    }
    must(false); /* only live jobs have a state value */
}

void state_encode_tail(const struct state_value *v, struct buf *out)
{
    add_be(out, U32, v->attempt, 4);
    add_be(out, U16, v->excused, 2);
    buf_add_char(out, (char)v->priority);
    state_add_str(v->type, JOB_NAME_MAX, out);
    add_detail(v, out);
}

void state_encode(const struct state_value *v, struct buf *out)
{
    buf_add_char(out, (char)ARRAY_OF_7);
    buf_add_char(out, (char)v->state);
    add_be(out, U64, v->since_ms, 8);
    state_encode_tail(v, out);
}

/* --- reading --------------------------------------------------------------------------------- */

/* What is left to read; bad sticks. */
struct reader {
    struct slice in;
    bool bad;
};

static unsigned take_byte(struct reader *r)
{
    unsigned byte;

    if (r->in.len == 0) {
        r->bad = true;
        return 0;
    }
    byte = (unsigned char)*r->in.ptr;
    r->in = slice_of(r->in.ptr + 1, r->in.len - 1);
    return byte;
}

static void expect(struct reader *r, unsigned tag)
{
    if (take_byte(r) != tag)
        r->bad = true;
}

static unsigned take_up_to(struct reader *r, unsigned max)
{
    unsigned v = take_byte(r);

    if (v > max)
        r->bad = true;
    return v;
}

static uint64_t take_be(struct reader *r, unsigned tag, unsigned bytes)
{
    uint64_t v = 0;

    expect(r, tag);
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | take_byte(r);
    return v;
}

static struct slice take_str(struct reader *r, size_t max)
{
    size_t len;
    struct slice s;

    expect(r, STR8);
    len = take_byte(r);
    if (len > max || len > r->in.len)
        r->bad = true;
    if (r->bad)
        return slice_of("", 0);
    s = slice_of(r->in.ptr, len);
    r->in = slice_of(r->in.ptr + len, r->in.len - len);
    return s;
}

static bool is_next(const struct reader *r, unsigned tag)
{
    return r->in.len > 0 && (unsigned char)*r->in.ptr == tag;
}

static void take_detail(struct reader *r, struct state_value *v)
{
    if (v->state == JOB_QUEUED || (v->state == JOB_CANCELLED && is_next(r, NIL))) {
        expect(r, NIL);
    } else if (v->state == JOB_RUNNING || v->state == JOB_CANCELLED) {
        expect(r, ARRAY_OF_3);
        v->consumer = take_str(r, 255);
        v->progress = take_up_to(r, 100);
        v->text = take_str(r, 255);
    } else {
        expect(r, ARRAY_OF_2);
        v->due_ms = take_be(r, U64, 8);
        v->text = take_str(r, 255);
    }
}

enum err state_decode(struct slice bytes, struct state_value *ret)
{
    struct reader r = {.in = bytes};
    struct state_value v = {.state = JOB_QUEUED};
    unsigned state;

    expect(&r, ARRAY_OF_7);
    state = take_up_to(&r, JOB_CANCELLED);
    v.since_ms = take_be(&r, U64, 8);
    v.attempt = (uint32_t)take_be(&r, U32, 4);
    v.excused = (uint16_t)take_be(&r, U16, 2);
    v.priority = (enum job_priority)take_up_to(&r, JOB_PRIORITY_LOW);
    v.type = take_str(&r, JOB_NAME_MAX);
    if (r.bad || state < JOB_QUEUED || (state > JOB_RETRYING && state != JOB_CANCELLED))
        return ERR_MALFORMED;
    v.state = (enum job_state)state;
    take_detail(&r, &v);
    if (r.bad || r.in.len > 0)
        return ERR_MALFORMED;
    *ret = v;
    return ERR_OK;
}
