/* Any bytes as msgpack. What mp_check takes, msgpack-c takes whole, and packing it again gives the
 * same value; it can be written as JSON. Byte 0 chooses the limits. */
#include "shared/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct mp_limits limits_of(uint8_t choice)
{
    return (struct mp_limits){
        .max_depth = (choice & 0x0f) * 3u,
        .max_items = (choice & 0x10) != 0 ? 20 : 10000,
        .max_bytes = (choice & 0x20) != 0 ? 64 : 1 << 20,
    };
}

static unsigned depth_of(const msgpack_object *o)
{
    unsigned deepest = 0;

    if (o->type != MSGPACK_OBJECT_ARRAY && o->type != MSGPACK_OBJECT_MAP)
        return 0;
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_ARRAY && i < o->via.array.size; i++) {
        unsigned d = depth_of(&o->via.array.ptr[i]);

        deepest = d > deepest ? d : deepest;
    }
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size; i++) {
        unsigned d = depth_of(&o->via.map.ptr[i].val);

        must(o->via.map.ptr[i].key.type == MSGPACK_OBJECT_STR);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

static size_t items_of(const msgpack_object *o)
{
    size_t n = 1;

    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_ARRAY && i < o->via.array.size; i++)
        n += items_of(&o->via.array.ptr[i]);
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size; i++)
        n += 1 + items_of(&o->via.map.ptr[i].val);
    return n;
}

static void check_value(const msgpack_object *root, struct slice in,
                        const struct mp_limits *limits)
{
    struct buf packed = {0}, again = {0}, json = {0};
    struct fault why = {0};
    msgpack_object second;
    msgpack_packer pk;
    msgpack_zone zone;

    must(depth_of(root) <= limits->max_depth && items_of(root) <= limits->max_items);
    mp_packer(&pk, &packed);
    must(msgpack_pack_object(&pk, *root) == 0 && packed.len <= in.len);
    must(msgpack_zone_init(&zone, 1024));
    must(mp_parse(buf_slice(&packed), limits, &zone, &second, NULL) == ERR_OK);
    mp_packer(&pk, &again);
    must(msgpack_pack_object(&pk, second) == 0);
    must(slice_eq(buf_slice(&packed), buf_slice(&again)));
    json_from_msgpack(root, &json);
    buf_clear(&again);
    must(json_to_msgpack(buf_slice(&json), 64, &again, &why) == ERR_OK ||
         strstr(why.text, "too big integer") != NULL); /* above INT64_MAX */
    msgpack_zone_destroy(&zone);
    buf_done(&packed);
    buf_done(&again);
    buf_done(&json);
}

/* The same bytes as msgpack-c sees them, with nothing checked before. Only for values that were
 * taken: it allocates what a head claims. */
static void check_against_msgpack_c(struct slice in)
{
    msgpack_unpacked whole;
    size_t at = 0;

    msgpack_unpacked_init(&whole);
    must(msgpack_unpack_next(&whole, in.ptr, in.len, &at) == MSGPACK_UNPACK_SUCCESS);
    must(at == in.len);
    msgpack_unpacked_destroy(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct mp_limits limits = limits_of(len == 0 ? 0 : data[0]);
    struct slice in = slice_of(data + (len > 0), len - (len > 0));
    struct fault why = {0};
    enum err e = mp_check(in, &limits, &why);
    msgpack_object root;
    msgpack_zone zone;

    must((e == ERR_OK) == (why.text[0] == '\0'));
    must(msgpack_zone_init(&zone, 1024));
    must(mp_parse(in, &limits, &zone, &root, NULL) == e);
    if (e == ERR_OK) {
        check_against_msgpack_c(in);
        check_value(&root, in, &limits);
    }
    msgpack_zone_destroy(&zone);
    return 0;
}
