#include "worker/render/wire.h"

#include "shared/mp.h"

static const struct mp_limits limits = {
    .max_depth = 4, .max_items = 1024, .max_bytes = WIRE_BODY_MAX};

static void put_be32(char *dst, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        dst[i] = (char)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const char *src)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 8 | (uint8_t)src[i];
    return v;
}

/* --- writing ------------------------------------------------------------------------------- */

/* Leaves room for the head; frame_end() fills it once the length is known. */
static size_t frame_begin(struct buf *out, msgpack_packer *pk, const char *kind, size_t fields)
{
    size_t at = out->len;

    buf_add(out, "\0\0\0\0", WIRE_HEAD);
    mp_packer(pk, out);
    msgpack_pack_map(pk, fields + 1);
    mp_str(pk, "m");
    mp_str(pk, kind);
    return at;
}

static void frame_end(struct buf *out, size_t at)
{
    if (buf_failed(out))
        return;
    if (out->len - at - WIRE_HEAD > WIRE_BODY_MAX) {
        out->failed = true;
        return;
    }
    put_be32(out->data + at, (uint32_t)(out->len - at - WIRE_HEAD));
}

static void field_uint(msgpack_packer *pk, const char *key, uint64_t v)
{
    mp_str(pk, key);
    msgpack_pack_uint64(pk, v);
}

static void field_str(msgpack_packer *pk, const char *key, const char *v)
{
    mp_str(pk, key);
    mp_str(pk, v);
}

void wire_add_hello(struct buf *out, const struct wire_hello *m)
{
    msgpack_packer pk;
    size_t at = frame_begin(out, &pk, "hello", 3);

    field_uint(&pk, "version", m->version);
    field_uint(&pk, "landlock", m->landlock);
    field_str(&pk, "vips", m->vips);
    frame_end(out, at);
}

void wire_add_order(struct buf *out, const struct wire_order *m)
{
    msgpack_packer pk;
    size_t at = frame_begin(out, &pk, "order", 10);

    field_uint(&pk, "id", m->id);
    field_uint(&pk, "pixels", m->pixels);
    field_uint(&pk, "output_pixels", m->output_pixels);
    field_uint(&pk, "output_bytes", m->output_bytes);
    field_uint(&pk, "frames", m->frames);
    field_uint(&pk, "cpu_ms", m->cpu_ms);
    field_uint(&pk, "slow_us", m->slow_us);
    field_uint(&pk, "wide", m->wide);
    field_uint(&pk, "svg_bytes", m->svg_bytes);
    mp_str(&pk, "args");
    mp_bin(&pk, m->args);
    frame_end(out, at);
}

void wire_add_slow(struct buf *out, const struct wire_slow *m)
{
    msgpack_packer pk;
    size_t at = frame_begin(out, &pk, "slow", 2);

    field_uint(&pk, "id", m->id);
    field_uint(&pk, "us", m->us);
    frame_end(out, at);
}

void wire_add_progress(struct buf *out, const struct wire_progress *m)
{
    msgpack_packer pk;
    size_t at = frame_begin(out, &pk, "progress", 2);

    field_uint(&pk, "id", m->id);
    field_uint(&pk, "pct", m->pct);
    frame_end(out, at);
}

static void pack_output(msgpack_packer *pk, const struct wire_output *o)
{
    msgpack_pack_map(pk, 7);
    field_uint(pk, "index", o->index);
    field_uint(pk, "frames", o->frames);
    field_uint(pk, "quality", o->quality);
    field_str(pk, "format", image_format_name(o->format));
    field_uint(pk, "width", o->width);
    field_uint(pk, "height", o->height);
    field_uint(pk, "bytes", o->bytes);
}

void wire_add_report(struct buf *out, const struct wire_report *m)
{
    bool ok = m->err == ERR_OK;
    msgpack_packer pk;
    size_t at = frame_begin(out, &pk, "report", ok ? (m->has_info ? 11 : 10) : 7);

    field_uint(&pk, "id", m->id);
    field_str(&pk, "err", err_name(m->err));
    field_uint(&pk, "cpu_us", m->cpu_us);
    field_uint(&pk, "predicted_us", m->predicted_us);
    field_uint(&pk, "peak_rss", m->peak_rss);
    field_uint(&pk, "rss", m->rss);
    if (!ok) {
        field_str(&pk, "text", m->text);
        frame_end(out, at);
        return;
    }
    field_str(&pk, "source_format", image_format_name(m->source_format));
    field_uint(&pk, "source_width", m->source_width);
    field_uint(&pk, "source_height", m->source_height);
    mp_str(&pk, "outputs");
    msgpack_pack_array(&pk, m->n_outputs);
    for (size_t i = 0; i < m->n_outputs; i++)
        pack_output(&pk, &m->outputs[i]);
    if (m->has_info) {
        mp_str(&pk, "info");
        wire_info_pack(&pk, &m->info);
    }
    frame_end(out, at);
}

/* By hand, because a signal handler may not allocate: a fixmap of strings and fixed-width
 * numbers. */
static size_t put_str(uint8_t *dst, const char *s)
{
    size_t n = 0;

    while (s[n] != '\0') {
        dst[n + 1] = (uint8_t)s[n];
        n++;
    }
    dst[0] = (uint8_t)(0xa0 | n);
    return n + 1;
}

static size_t put_uint(uint8_t *dst, const char *key, uint64_t v)
{
    size_t n = put_str(dst, key);

    dst[n] = 0xcf;
    for (size_t i = 0; i < 8; i++)
        dst[n + 1 + i] = (uint8_t)(v >> (56 - 8 * i));
    return n + 9;
}

size_t wire_put_crash(uint8_t dst[WIRE_CRASH_SIZE], const struct wire_crash *m)
{
    size_t n = WIRE_HEAD;

    dst[n++] = 0x84;
    n += put_str(dst + n, "m");
    n += put_str(dst + n, "crash");
    n += put_uint(dst + n, "signal", m->signal);
    n += put_uint(dst + n, "peak_vm", m->peak_vm);
    n += put_uint(dst + n, "peak_rss", m->peak_rss);
    put_be32((char *)dst, (uint32_t)(n - WIRE_HEAD));
    return n;
}

/* --- reading ------------------------------------------------------------------------------- */

enum err wire_body_len(const char head[WIRE_HEAD], size_t *ret)
{
    uint32_t n = get_be32(head);

    if (n == 0)
        return ERR_MALFORMED;
    if (n > WIRE_BODY_MAX)
        return ERR_TOO_BIG;
    *ret = n;
    return ERR_OK;
}

void wire_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    }
}

static bool get_uint(const msgpack_object *map, const char *key, uint64_t max, uint64_t *ret)
{
    const msgpack_object *o = mp_get(map, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
        return false;
    *ret = o->via.u64;
    return true;
}

static bool get_u32(const msgpack_object *map, const char *key, uint32_t *ret)
{
    uint64_t v;

    if (!get_uint(map, key, UINT32_MAX, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* Cuts what does not fit. */
static bool get_text(const msgpack_object *map, const char *key, char *dst, size_t cap)
{
    const msgpack_object *o = mp_get(map, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_STR)
        return false;
    (void)slice_to_cstr(mp_as_slice(o), dst, cap);
    wire_printable(dst);
    return true;
}

static bool get_format(const msgpack_object *map, const char *key, enum image_format *ret)
{
    const msgpack_object *o = mp_get(map, key);

    return o != NULL && o->type == MSGPACK_OBJECT_STR &&
           image_format_parse(mp_as_slice(o), ret);
}

static bool read_hello(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_hello *m = &ret->u.hello;

    return get_u32(map, "version", &m->version) && get_u32(map, "landlock", &m->landlock) &&
           get_text(map, "vips", m->vips, sizeof m->vips);
}

static bool get_bool(const msgpack_object *map, const char *key, bool *ret)
{
    uint64_t v;

    if (!get_uint(map, key, 1, &v))
        return false;
    *ret = v == 1;
    return true;
}

static bool read_order(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_order *m = &ret->u.order;
    const msgpack_object *args = mp_get(map, "args");

    if (args == NULL || args->type != MSGPACK_OBJECT_BIN)
        return false;
    m->args = mp_as_slice(args);
    return get_uint(map, "id", UINT64_MAX, &m->id) &&
           get_uint(map, "pixels", UINT64_MAX, &m->pixels) &&
           get_uint(map, "output_pixels", UINT64_MAX, &m->output_pixels) &&
           get_uint(map, "output_bytes", UINT64_MAX, &m->output_bytes) &&
           get_uint(map, "frames", UINT64_MAX, &m->frames) &&
           get_uint(map, "cpu_ms", UINT64_MAX, &m->cpu_ms) &&
           get_uint(map, "svg_bytes", UINT64_MAX, &m->svg_bytes) &&
           get_uint(map, "slow_us", UINT64_MAX, &m->slow_us) && get_bool(map, "wide", &m->wide);
}

static bool read_slow(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_slow *m = &ret->u.slow;

    return get_uint(map, "id", UINT64_MAX, &m->id) && get_uint(map, "us", UINT64_MAX, &m->us);
}

static bool read_progress(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_progress *m = &ret->u.progress;

    return get_uint(map, "id", UINT64_MAX, &m->id) && get_u32(map, "pct", &m->pct) &&
           m->pct <= 100;
}

static bool read_output(const msgpack_object *map, struct wire_output *ret)
{
    return map->type == MSGPACK_OBJECT_MAP && get_u32(map, "index", &ret->index) &&
           get_format(map, "format", &ret->format) && get_u32(map, "width", &ret->width) &&
           get_u32(map, "height", &ret->height) && get_u32(map, "frames", &ret->frames) &&
           get_u32(map, "quality", &ret->quality) && ret->quality <= 100 &&
           get_uint(map, "bytes", UINT64_MAX, &ret->bytes);
}

static bool read_outputs(const msgpack_object *map, struct wire_report *m)
{
    const msgpack_object *list = mp_get(map, "outputs");

    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY ||
        list->via.array.size > WIRE_OUTPUTS_MAX)
        return false;
    m->n_outputs = list->via.array.size;
    for (size_t i = 0; i < m->n_outputs; i++) {
        if (!read_output(&list->via.array.ptr[i], &m->outputs[i]))
            return false;
    }
    return true;
}

/* It may be missing, but not be wrong. */
static bool read_info(const msgpack_object *map, struct wire_report *m)
{
    const msgpack_object *info = mp_get(map, "info");

    m->has_info = info != NULL;
    return info == NULL || wire_info_read(info, &m->info);
}

static bool read_report(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_report *m = &ret->u.report;
    char err[32];

    if (!get_uint(map, "id", UINT64_MAX, &m->id) || !get_text(map, "err", err, sizeof err) ||
        !get_uint(map, "cpu_us", UINT64_MAX, &m->cpu_us) ||
        !get_uint(map, "predicted_us", UINT64_MAX, &m->predicted_us) ||
        !get_uint(map, "peak_rss", UINT64_MAX, &m->peak_rss) ||
        !get_uint(map, "rss", UINT64_MAX, &m->rss))
        return false;
    m->err = err_from_name(err);
    if (m->err != ERR_OK)
        return get_text(map, "text", m->text, sizeof m->text);
    return get_format(map, "source_format", &m->source_format) &&
           get_u32(map, "source_width", &m->source_width) &&
           get_u32(map, "source_height", &m->source_height) && read_outputs(map, m) &&
           read_info(map, m);
}

static bool read_crash(const msgpack_object *map, struct wire_msg *ret)
{
    struct wire_crash *m = &ret->u.crash;

    return get_u32(map, "signal", &m->signal) &&
           get_uint(map, "peak_vm", UINT64_MAX, &m->peak_vm) &&
           get_uint(map, "peak_rss", UINT64_MAX, &m->peak_rss);
}

typedef bool read_fn(const msgpack_object *map, struct wire_msg *ret);
static const struct {
    const char *name;
    read_fn *read;
} kinds[] = {
    [WIRE_HELLO] = {"hello", read_hello},    [WIRE_ORDER] = {"order", read_order},
    [WIRE_SLOW] = {"slow", read_slow},       [WIRE_PROGRESS] = {"progress", read_progress},
    [WIRE_REPORT] = {"report", read_report}, [WIRE_CRASH] = {"crash", read_crash},
};

static enum err read_message(const msgpack_object *map, struct wire_msg *ret,
                             struct fault *reterr)
{
    const msgpack_object *kind = map->type == MSGPACK_OBJECT_MAP ? mp_get(map, "m") : NULL;

    if (kind == NULL || kind->type != MSGPACK_OBJECT_STR)
        return fault_set(reterr, ERR_MALFORMED, 0, "a message without a kind");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!mp_is(kind, kinds[i].name))
            continue;
        ret->kind = (enum wire_kind)i;
        if (!kinds[i].read(map, ret))
            return fault_set(reterr, ERR_MALFORMED, 0, "a %s that lacks a field",
                             kinds[i].name);
        return ERR_OK;
    }
    return fault_set(reterr, ERR_MALFORMED, 0, "a message of an unknown kind");
}

enum err wire_decode(struct slice body, struct wire_msg *ret, struct fault *reterr)
{
    msgpack_zone z;
    msgpack_object root;
    enum err e;

    *ret = (struct wire_msg){0};
    if (!msgpack_zone_init(&z, 4096))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a message");
    e = mp_parse(body, &limits, &z, &root, reterr);
    if (e == ERR_OK)
        e = read_message(&root, ret, reterr);
    msgpack_zone_destroy(&z);
    return e;
}
