#include "worker/result_key.h"

#include <string.h>

/* Stands for the form itself: to be raised when that changes. */
#define FORM "millrace image result 1"

static bool add_value(msgpack_packer *pk, const msgpack_object *o, bool outermost);

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The pair whose key comes next after `last`; NULL: none. Maps of args are small. */
static const msgpack_object_kv *next_pair(const msgpack_object_map *map,
                                          const msgpack_object_kv *last)
{
    const msgpack_object_kv *best = NULL;

    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object_kv *kv = &map->ptr[i];

        if (last != NULL && compare(mp_as_slice(&kv->key), mp_as_slice(&last->key)) <= 0)
            continue;
        if (best == NULL || compare(mp_as_slice(&kv->key), mp_as_slice(&best->key)) < 0)
            best = kv;
    }
    return best;
}

static bool may_change(const msgpack_object *key)
{
    return mp_is(key, "path") || mp_is(key, "url");
}

static bool add_map(msgpack_packer *pk, const msgpack_object_map *map, bool outermost)
{
    msgpack_pack_map(pk, map->size);
    for (const msgpack_object_kv *kv = next_pair(map, NULL); kv != NULL;
         kv = next_pair(map, kv)) {
        if (outermost && mp_is(&kv->key, "source"))
            continue;
        if (may_change(&kv->key))
            return false;
        mp_slice(pk, mp_as_slice(&kv->key));
        if (!add_value(pk, &kv->val, false))
            return false;
    }
    return true;
}

/* Nesting is bounded: args have passed mp_check(). */
static bool add_value(msgpack_packer *pk, const msgpack_object *o, bool outermost)
{
    if (o->type == MSGPACK_OBJECT_MAP)
        return add_map(pk, &o->via.map, outermost);
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        msgpack_pack_object(pk, *o);
        return true;
    }
    msgpack_pack_array(pk, o->via.array.size);
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        if (!add_value(pk, &o->via.array.ptr[i], false))
            return false;
    }
    return true;
}

bool result_key_recipe(const char *type, const msgpack_object *args,
                       const uint8_t engine[HASH_LEN], uint8_t ret[HASH_LEN])
{
    AUTO(buf_done) struct buf text = {0};
    msgpack_packer pk;

    mp_packer(&pk, &text);
    mp_str(&pk, FORM);
    mp_bin(&pk, slice_of((const char *)engine, HASH_LEN));
    mp_str(&pk, type);
    if (!add_value(&pk, args, true) || buf_failed(&text))
        return false;
    hash_sha256(text.data, text.len, ret);
    return true;
}

void result_key_source(const uint8_t recipe[HASH_LEN], const uint8_t source[HASH_LEN],
                       uint8_t ret[HASH_LEN])
{
    uint8_t both[2 * HASH_LEN];

    memcpy(both, recipe, HASH_LEN);
    memcpy(both + HASH_LEN, source, HASH_LEN);
    hash_sha256(both, sizeof both, ret);
}
