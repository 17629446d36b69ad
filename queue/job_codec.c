/* The envelope's bytes. mp_check() has seen them before anything here reads them, so that the
 * reader below needs no recursion and no memory; it keeps its own bounds all the same. */
#include "queue/job.h"

#define JOB_FIELDS_MIN 4 /* v, id, type, args: always there */

static void add_str(msgpack_packer *pk, const char *name, struct slice text)
{
    if (text.len == 0)
        return;
    mp_str(pk, name);
    msgpack_pack_str(pk, text.len);
    msgpack_pack_str_body(pk, text.ptr, text.len);
}

static void add_raw(msgpack_packer *pk, const char *name, struct slice encoded)
{
    if (encoded.len == 0)
        return;
    mp_str(pk, name);
    mp_raw(pk, encoded);
}

static void add_uuid(msgpack_packer *pk, const char *name, bool is_set, const struct uuid *id)
{
    if (!is_set)
        return;
    mp_str(pk, name);
    mp_bin(pk, slice_of(id->bytes, UUID_LEN));
}

void job_encode(const struct job *job, struct buf *out)
{
    msgpack_packer pk;
    size_t fields = JOB_FIELDS_MIN;

    fields += (job->max_attempts != 0) + (job->timeout_ms != 0) + (job->then.len != 0);
    fields += job->has_parent + job->has_batch + (job->retry.len != 0) + (job->expires_ms != 0);
    fields += (job->key.len != 0) + (job->unique.len != 0) + (job->chain.len != 0);
    mp_packer(&pk, out);
    msgpack_pack_map(&pk, fields);
    mp_str(&pk, "v");
    msgpack_pack_uint32(&pk, JOB_VERSION);
    mp_str(&pk, "id");
    mp_bin(&pk, slice_of(job->id.bytes, UUID_LEN));
    mp_str(&pk, "type");
    mp_str(&pk, job->type);
    mp_str(&pk, "args");
    mp_raw(&pk, job->args);
    if (job->max_attempts != 0) {
        mp_str(&pk, "max_attempts");
        msgpack_pack_uint32(&pk, job->max_attempts);
    }
    if (job->timeout_ms != 0) {
        mp_str(&pk, "timeout_ms");
        msgpack_pack_uint32(&pk, job->timeout_ms);
    }
    add_raw(&pk, "then", job->then);
    add_uuid(&pk, "parent", job->has_parent, &job->parent);
    add_raw(&pk, "retry", job->retry);
    if (job->expires_ms != 0) {
        mp_str(&pk, "expires_ms");
        msgpack_pack_uint64(&pk, job->expires_ms);
    }
    add_str(&pk, "key", job->key);
    add_str(&pk, "unique", job->unique);
    add_uuid(&pk, "batch", job->has_batch, &job->batch);
    add_raw(&pk, "chain", job->chain);
}

/* --- reading values -------------------------------------------------------------------------- */

enum kind { KIND_OTHER, KIND_UINT, KIND_INT, KIND_STR, KIND_BIN, KIND_ARRAY, KIND_MAP };

/* What the first bytes of a value say. body: bytes of its own that follow (strings, floats);
 * children: values that follow (arrays, maps); n: the number, length or count. */
struct head {
    enum kind kind;
    uint64_t n, body, children;
};

struct cursor {
    const uint8_t *at, *end;
};

/* Types from 0xc0 to 0xdf: how many bytes of number follow the first byte. An extension has one
 * more byte, its type. */
static const struct {
    uint8_t kind, width, body;
} wide[32] = {
    [0x04] = {KIND_BIN, 1, 0},   [0x05] = {KIND_BIN, 2, 0},   [0x06] = {KIND_BIN, 4, 0},
    [0x07] = {KIND_OTHER, 1, 1}, [0x08] = {KIND_OTHER, 2, 1}, [0x09] = {KIND_OTHER, 4, 1},
    [0x0a] = {KIND_OTHER, 0, 4}, [0x0b] = {KIND_OTHER, 0, 8}, [0x0c] = {KIND_UINT, 1, 0},
    [0x0d] = {KIND_UINT, 2, 0},  [0x0e] = {KIND_UINT, 4, 0},  [0x0f] = {KIND_UINT, 8, 0},
    [0x10] = {KIND_INT, 1, 0},   [0x11] = {KIND_INT, 2, 0},   [0x12] = {KIND_INT, 4, 0},
    [0x13] = {KIND_INT, 8, 0},   [0x14] = {KIND_OTHER, 0, 2}, [0x15] = {KIND_OTHER, 0, 3},
    [0x16] = {KIND_OTHER, 0, 5}, [0x17] = {KIND_OTHER, 0, 9}, [0x18] = {KIND_OTHER, 0, 17},
    [0x19] = {KIND_STR, 1, 0},   [0x1a] = {KIND_STR, 2, 0},   [0x1b] = {KIND_STR, 4, 0},
    [0x1c] = {KIND_ARRAY, 2, 0}, [0x1d] = {KIND_ARRAY, 4, 0}, [0x1e] = {KIND_MAP, 2, 0},
    [0x1f] = {KIND_MAP, 4, 0},
};

static uint64_t take_number(struct cursor *c, unsigned width)
{
    uint64_t n = 0;

    for (; width > 0 && c->at < c->end; width--)
        n = n << 8 | *c->at++;
    return n;
}

static struct head head_of(enum kind kind, uint64_t n)
{
    struct head h = {.kind = kind, .n = n};

    if (kind == KIND_STR || kind == KIND_BIN)
        h.body = n;
    if (kind == KIND_ARRAY)
        h.children = n;
    if (kind == KIND_MAP)
        h.children = 2 * n;
    return h;
}

static struct head take_head(struct cursor *c)
{
    uint64_t first = take_number(c, 1);
    struct head h;
    uint64_t n;

    if (first < 0x80)
        return head_of(KIND_UINT, first);
    if (first < 0x90)
        return head_of(KIND_MAP, first & 0x0f);
    if (first < 0xa0)
        return head_of(KIND_ARRAY, first & 0x0f);
    if (first < 0xc0)
        return head_of(KIND_STR, first & 0x1f);
    if (first >= 0xe0)
        return head_of(KIND_OTHER, 0);
    n = take_number(c, wide[first & 0x1f].width);
    h = head_of(wide[first & 0x1f].kind, n);
    h.body += wide[first & 0x1f].body;
    if (h.kind == KIND_OTHER)
        h.body += n;
    return h;
}

static struct slice take_bytes(struct cursor *c, uint64_t n)
{
    const uint8_t *at = c->at;
    size_t left = (size_t)(c->end - at);

    c->at += n < left ? n : left;
    return slice_of(at, (size_t)(c->at - at));
}

/* One whole value, however deep. */
static struct slice take_value(struct cursor *c)
{
    const uint8_t *start = c->at;
    uint64_t pending = 1;

    while (pending > 0 && c->at < c->end) {
        struct head h = take_head(c);

        (void)take_bytes(c, h.body);
        pending += h.children;
        pending--;
    }
    return slice_of(start, (size_t)(c->at - start));
}

static struct cursor cursor_of(struct slice bytes)
{
    const uint8_t *p = (const void *)bytes.ptr;

    return (struct cursor){p, p + bytes.len};
}

static bool as_uint64(struct slice value, uint64_t min, uint64_t max, uint64_t *ret)
{
    struct cursor c = cursor_of(value);
    unsigned sign_bit = (unsigned)(value.len - 1) * 8 - 1;
    struct head h = take_head(&c);

    if (h.kind != KIND_UINT && (h.kind != KIND_INT || h.n >> sign_bit != 0))
        return false;
    if (h.n < min || h.n > max)
        return false;
    *ret = h.n;
    return true;
}

static bool as_uint(struct slice value, uint64_t min, uint32_t max, uint32_t *ret)
{
    uint64_t n;

    if (!as_uint64(value, min, max, &n))
        return false;
    *ret = (uint32_t)n;
    return true;
}

static bool as_kind(struct slice value, enum kind kind, struct slice *ret)
{
    struct cursor c = cursor_of(value);
    struct head h = take_head(&c);

    *ret = take_bytes(&c, h.body);
    return h.kind == kind;
}

static bool as_uuid(struct slice value, struct uuid *ret)
{
    struct slice bytes;

    if (!as_kind(value, KIND_BIN, &bytes) || bytes.len != UUID_LEN)
        return false;
    memcpy(ret->bytes, bytes.ptr, UUID_LEN);
    return true;
}

/* --- fields ---------------------------------------------------------------------------------- */

typedef bool take_fn(struct slice value, struct job *ret);

static bool take_v(struct slice value, struct job *ret)
{
    uint32_t v;

    (void)ret;
    return as_uint(value, JOB_VERSION, JOB_VERSION, &v);
}

static bool take_id(struct slice value, struct job *ret)
{
    return as_uuid(value, &ret->id);
}

static bool take_type(struct slice value, struct job *ret)
{
    struct slice name;

    return as_kind(value, KIND_STR, &name) && job_name_is_valid(name) &&
           slice_to_cstr(name, ret->type, sizeof ret->type);
}

static bool take_args(struct slice value, struct job *ret)
{
    struct slice body;

    ret->args = value;
    return as_kind(value, KIND_MAP, &body);
}

static bool take_max_attempts(struct slice value, struct job *ret)
{
    return as_uint(value, 1, JOB_ATTEMPTS_MAX, &ret->max_attempts);
}

static bool take_timeout_ms(struct slice value, struct job *ret)
{
    return as_uint(value, 1, JOB_TIMEOUT_MAX, &ret->timeout_ms);
}

static bool is_array_of_maps(struct slice value, size_t max)
{
    struct cursor c = cursor_of(value);
    struct head h = take_head(&c);
    struct slice body;

    if (h.kind != KIND_ARRAY || h.n > max)
        return false;
    for (uint64_t i = 0; i < h.n; i++) {
        if (!as_kind(take_value(&c), KIND_MAP, &body))
            return false;
    }
    return true;
}

static bool take_then(struct slice value, struct job *ret)
{
    ret->then = value;
    return is_array_of_maps(value, JOB_FOLLOW_MAX);
}

static bool take_chain(struct slice value, struct job *ret)
{
    ret->chain = value;
    return is_array_of_maps(value, JOB_CHAIN_MAX);
}

static bool take_retry(struct slice value, struct job *ret)
{
    struct slice body;

    ret->retry = value;
    return as_kind(value, KIND_MAP, &body);
}

static bool take_expires_ms(struct slice value, struct job *ret)
{
    return as_uint64(value, 1, JOB_TIME_MAX, &ret->expires_ms);
}

static bool take_key(struct slice value, struct job *ret)
{
    return as_kind(value, KIND_STR, &ret->key) && job_key_is_valid(ret->key);
}

static bool take_unique(struct slice value, struct job *ret)
{
    return as_kind(value, KIND_STR, &ret->unique) && job_key_is_valid(ret->unique);
}

static bool take_batch(struct slice value, struct job *ret)
{
    ret->has_batch = true;
    return as_uuid(value, &ret->batch);
}

static bool take_parent(struct slice value, struct job *ret)
{
    ret->has_parent = true;
    return as_uuid(value, &ret->parent);
}

#define TEXT(x)  #x
#define VALUE(x) TEXT(x)
#define KEY_RULE \
    "must be a string of 1 to " VALUE(JOB_KEY_MAX) " bytes without control characters"

static const struct field {
    const char *name;
    take_fn *take;
    bool required;
    const char *rule;
} fields[] = {
    {"v", take_v, true, "must be the integer " VALUE(JOB_VERSION)},
    {"id", take_id, true, "must be 16 bytes of binary"},
    {"type", take_type, true,
     "must be a string of 1 to 64 of a-z, 0-9, '.', '_' and '-', first a letter"},
    {"args", take_args, true, "must be a map"},
    {"max_attempts", take_max_attempts, false,
     "must be an integer from 1 to " VALUE(JOB_ATTEMPTS_MAX)},
    {"timeout_ms", take_timeout_ms, false, "must be an integer from 1 to 86400000"},
    {"then", take_then, false, "must be an array of at most " VALUE(JOB_FOLLOW_MAX) " maps"},
    {"parent", take_parent, false, "must be 16 bytes of binary"},
    {"retry", take_retry, false, "must be a map"},
    {"expires_ms", take_expires_ms, false, "must be a time in Unix ms"},
    {"key", take_key, false, KEY_RULE},
    {"unique", take_unique, false, KEY_RULE},
    {"batch", take_batch, false, "must be 16 bytes of binary"},
    {"chain", take_chain, false, "must be an array of at most " VALUE(JOB_CHAIN_MAX) " maps"},
};

static size_t find_field(struct slice key)
{
    size_t i = 0;

    while (i < COUNT_OF(fields) && !slice_is(key, fields[i].name))
        i++;
    return i;
}

/* What of a wrong key is shown: whole characters. */
static int shown_len(struct slice key)
{
    size_t n = key.len < JOB_NAME_MAX ? key.len : JOB_NAME_MAX;

    while (n > 0 && n < key.len && ((uint8_t)key.ptr[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static enum err take_fields(struct slice item, struct job *ret, unsigned *ret_seen,
                            struct fault *reterr)
{
    struct cursor c = cursor_of(item);
    struct head h = take_head(&c);
    struct slice key;

    if (h.kind != KIND_MAP)
        return fault_set(reterr, ERR_MALFORMED, 0, "item must be a map");
    for (uint64_t n = 0; n < h.n; n++) {
        bool is_text = as_kind(take_value(&c), KIND_STR, &key);
        struct slice value = take_value(&c);
        size_t i = is_text ? find_field(key) : COUNT_OF(fields);

        if (i == COUNT_OF(fields))
            return fault_set(reterr, ERR_MALFORMED, 0, "%.*s is not a known field",
                             shown_len(key), key.ptr);
        if (!fields[i].take(value, ret))
            return fault_set(reterr, ERR_MALFORMED, 0, "%s %s", fields[i].name, fields[i].rule);
        *ret_seen |= 1u << i;
    }
    return ERR_OK;
}

enum err job_decode(struct slice item, struct job *ret, struct fault *reterr)
{
    static const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = JOB_VALUES_MAX, .max_bytes = JOB_ITEM_MAX};
    struct job job = {.max_attempts = 0};
    struct fault why;
    unsigned seen = 0;
    enum err e;

    e = mp_check(item, &limits, &why);
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "item: %s", why.text);
    e = take_fields(item, &job, &seen, reterr);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].required && (seen & 1u << i) == 0)
            return fault_set(reterr, ERR_MALFORMED, 0, "%s is missing", fields[i].name);
    }
    *ret = job;
    return ERR_OK;
}
