#include "shared/mp.h"

#include "shared/utf8.h"

#define PAIRS_MAX 64u /* of a map: duplicate keys are looked for among these */
#define DEPTH_MAX 32u /* what msgpack-c itself bears */
#define KEYS_MAX  ((size_t)DEPTH_MAX * PAIRS_MAX)

/* The walk is a loop over a stack of open containers, so its depth is bounded by the array. */
struct level {
    size_t left; /* values still to come; a pair counts twice */
    bool map;
    size_t n_keys;
    size_t keys; /* index of the first key of this map in walk.keys */
};

struct walk {
    struct slice in;
    size_t at, items;
    const struct mp_limits *limits;
    struct level levels[DEPTH_MAX + 1];
    unsigned depth;
    struct slice *keys; /* of the maps that are open; room for PAIRS_MAX in each level */
    size_t n_keys;
    struct fault *reterr;
};

/* What a head byte announces. */
struct head {
    enum { HEAD_SCALAR, HEAD_STR, HEAD_BIN, HEAD_ARRAY, HEAD_MAP, HEAD_REFUSED } kind;
    size_t extra; /* bytes behind the head byte: the number, or the length */
    uint64_t n;   /* length or count */
};

static enum err bad(struct walk *w, const char *rule)
{
    return fault_set(w->reterr, ERR_MALFORMED, 0, "msgpack, byte %zu: %s", w->at, rule);
}

static bool read_be(struct walk *w, size_t at, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    if (w->in.len - at < n)
        return false;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (uint8_t)w->in.ptr[at + i];
    *ret = v;
    return true;
}

/* 0xc0 to 0xdf: one entry a byte, so that it can be held against the specification. */
static const struct {
    uint8_t kind, extra;
} heads[] = {
    [0xc0 - 0xc0] = {HEAD_SCALAR, 0},  [0xc1 - 0xc0] = {HEAD_REFUSED, 0},
    [0xc2 - 0xc0] = {HEAD_SCALAR, 0},  [0xc3 - 0xc0] = {HEAD_SCALAR, 0},
    [0xc4 - 0xc0] = {HEAD_BIN, 1},     [0xc5 - 0xc0] = {HEAD_BIN, 2},
    [0xc6 - 0xc0] = {HEAD_BIN, 4},     [0xc7 - 0xc0] = {HEAD_REFUSED, 0},
    [0xc8 - 0xc0] = {HEAD_REFUSED, 0}, [0xc9 - 0xc0] = {HEAD_REFUSED, 0},
    [0xca - 0xc0] = {HEAD_SCALAR, 4},  [0xcb - 0xc0] = {HEAD_SCALAR, 8},
    [0xcc - 0xc0] = {HEAD_SCALAR, 1},  [0xcd - 0xc0] = {HEAD_SCALAR, 2},
    [0xce - 0xc0] = {HEAD_SCALAR, 4},  [0xcf - 0xc0] = {HEAD_SCALAR, 8},
    [0xd0 - 0xc0] = {HEAD_SCALAR, 1},  [0xd1 - 0xc0] = {HEAD_SCALAR, 2},
    [0xd2 - 0xc0] = {HEAD_SCALAR, 4},  [0xd3 - 0xc0] = {HEAD_SCALAR, 8},
    [0xd4 - 0xc0] = {HEAD_REFUSED, 0}, [0xd5 - 0xc0] = {HEAD_REFUSED, 0},
    [0xd6 - 0xc0] = {HEAD_REFUSED, 0}, [0xd7 - 0xc0] = {HEAD_REFUSED, 0},
    [0xd8 - 0xc0] = {HEAD_REFUSED, 0}, [0xd9 - 0xc0] = {HEAD_STR, 1},
    [0xda - 0xc0] = {HEAD_STR, 2},     [0xdb - 0xc0] = {HEAD_STR, 4},
    [0xdc - 0xc0] = {HEAD_ARRAY, 2},   [0xdd - 0xc0] = {HEAD_ARRAY, 4},
    [0xde - 0xc0] = {HEAD_MAP, 2},     [0xdf - 0xc0] = {HEAD_MAP, 4},
};

static enum err read_head(struct walk *w, struct head *ret)
{
    uint8_t b;

    if (w->at >= w->in.len)
        return bad(w, "ends in the middle of a value");
    b = (uint8_t)w->in.ptr[w->at];
    *ret = (struct head){HEAD_SCALAR, 0, 0};
    if (b <= 0x7f || b >= 0xe0)
        return ERR_OK;
    if (b <= 0x8f) {
        *ret = (struct head){HEAD_MAP, 0, b & 0x0fu};
    } else if (b <= 0x9f) {
        *ret = (struct head){HEAD_ARRAY, 0, b & 0x0fu};
    } else if (b <= 0xbf) {
        *ret = (struct head){HEAD_STR, 0, b & 0x1fu};
    } else {
        ret->kind = heads[b - 0xc0].kind;
        ret->extra = heads[b - 0xc0].extra;
        if (ret->kind == HEAD_REFUSED)
            return bad(w, "a type that is not taken (extension or reserved)");
        if (!read_be(w, w->at + 1, ret->extra, &ret->n))
            return bad(w, "ends in the middle of a value");
    }
    return ERR_OK;
}

static struct level *top(struct walk *w)
{
    return &w->levels[w->depth];
}

static bool expects_key(struct walk *w)
{
    return top(w)->map && top(w)->left % 2 == 0;
}

static enum err add_key(struct walk *w, struct slice key)
{
    struct level *l = top(w);

    for (size_t i = 0; i < l->n_keys; i++) {
        if (slice_eq(w->keys[l->keys + i], key))
            return bad(w, "a key stands twice in one map");
    }
    must(w->n_keys < KEYS_MAX);
    w->keys[w->n_keys++] = key;
    l->n_keys++;
    return ERR_OK;
}

static enum err walk_bytes(struct walk *w, const struct head *h)
{
    struct slice s = slice_of(w->in.ptr + w->at + 1 + h->extra, h->n);

    if (h->n > w->in.len - w->at - 1 - h->extra)
        return bad(w, "a string or binary that is longer than what is left");
    if (h->kind == HEAD_STR && !utf8_is_text(s))
        return bad(w, "a string that is not UTF-8, or holds NUL");
    if (expects_key(w)) {
        enum err e =
            h->kind == HEAD_STR ? add_key(w, s) : bad(w, "a map key that is not a string");

        if (e != ERR_OK)
            return e;
    }
    w->at += 1 + h->extra + h->n;
    return ERR_OK;
}

static enum err open_container(struct walk *w, const struct head *h)
{
    bool map = h->kind == HEAD_MAP;
    uint64_t values = map ? h->n * 2 : h->n;

    if (expects_key(w))
        return bad(w, "a map key that is not a string");
    if (values > w->in.len - w->at - 1 - h->extra)
        return bad(w, "a container that claims more items than bytes are left");
    if (map && h->n > PAIRS_MAX)
        return bad(w, "a map of more than 64 pairs");
    if (w->depth >= w->limits->max_depth || w->depth >= DEPTH_MAX)
        return bad(w, "nested too deeply");
    top(w)->left--;
    w->depth++;
    *top(w) = (struct level){.left = values, .map = map, .keys = w->n_keys};
    w->at += 1 + h->extra;
    return ERR_OK;
}

static void close_containers(struct walk *w)
{
    while (w->depth > 0 && top(w)->left == 0) {
        w->n_keys = top(w)->keys;
        w->depth--;
    }
}

static enum err walk_value(struct walk *w)
{
    struct head h = {HEAD_SCALAR, 0, 0};
    enum err e = read_head(w, &h);

    if (e != ERR_OK)
        return e;
    if (++w->items > w->limits->max_items)
        return fault_set(w->reterr, ERR_TOO_BIG, 0, "msgpack: more than %zu values",
                         w->limits->max_items);
    switch (h.kind) {
    case HEAD_ARRAY:
    case HEAD_MAP:
        return open_container(w, &h);
    case HEAD_STR:
    case HEAD_BIN:
        e = walk_bytes(w, &h);
        break;
    case HEAD_SCALAR:
        if (expects_key(w))
            return bad(w, "a map key that is not a string");
        w->at += 1 + h.extra;
        break;
    case HEAD_REFUSED:
        return ERR_MALFORMED;
    }
    top(w)->left -= e == ERR_OK;
    return e;
}

enum err mp_check(struct slice bytes, const struct mp_limits *limits, struct fault *reterr)
{
    struct slice keys[KEYS_MAX]; /* too big to clear each time */
    struct walk w = {.in = bytes, .limits = limits, .reterr = reterr, .keys = keys};

    if (bytes.len > limits->max_bytes)
        return fault_set(reterr, ERR_TOO_BIG, 0, "msgpack: %zu bytes, at most %zu are taken",
                         bytes.len, limits->max_bytes);
    w.levels[0].left = 1;
    while (w.levels[0].left > 0 || w.depth > 0) {
        enum err e = walk_value(&w);

        if (e != ERR_OK)
            return e;
        close_containers(&w);
    }
    return w.at == bytes.len ? ERR_OK : bad(&w, "bytes behind the value");
}

enum err mp_parse(struct slice bytes, const struct mp_limits *limits, msgpack_zone *z,
                  msgpack_object *ret_root, struct fault *reterr)
{
    enum err e = mp_check(bytes, limits, reterr);
    size_t at = 0;

    if (e != ERR_OK)
        return e;
    if (msgpack_unpack(bytes.ptr, bytes.len, &at, z, ret_root) != MSGPACK_UNPACK_SUCCESS)
        return fault_set(reterr, ERR_NOMEM, 0, "msgpack: no memory to parse %zu bytes",
                         bytes.len);
    return ERR_OK;
}

static int append(void *arg, const char *bytes, size_t len)
{
    struct buf *b = arg;

    buf_add(b, bytes, len);
    return buf_failed(b) ? -1 : 0;
}

void mp_packer(msgpack_packer *pk, struct buf *b)
{
    msgpack_packer_init(pk, b, append);
}

void mp_str(msgpack_packer *pk, const char *s)
{
    mp_slice(pk, slice_str(s));
}

void mp_slice(msgpack_packer *pk, struct slice s)
{
    msgpack_pack_str(pk, s.len);
    msgpack_pack_str_body(pk, s.ptr, s.len);
}

void mp_bin(msgpack_packer *pk, struct slice s)
{
    msgpack_pack_bin(pk, s.len);
    msgpack_pack_bin_body(pk, s.ptr, s.len);
}

void mp_raw(msgpack_packer *pk, struct slice encoded)
{
    (void)pk->callback(pk->data, encoded.ptr, encoded.len);
}

const msgpack_object *mp_get(const msgpack_object *map, const char *key)
{
    struct slice want = slice_str(key);

    if (map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (kv->key.type == MSGPACK_OBJECT_STR && slice_eq(mp_as_slice(&kv->key), want))
            return &kv->val;
    }
    return NULL;
}

bool mp_is(const msgpack_object *o, const char *text)
{
    return o->type == MSGPACK_OBJECT_STR && slice_is(mp_as_slice(o), text);
}
