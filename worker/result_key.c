#include "worker/result_key.h"

#include <string.h>

#include "worker/image_file.h"

/* Stands for the form itself: to be raised when that changes. */
#define FORM "millrace image result 2"

struct recipe {
    msgpack_packer pk;
    const struct spec_image *spec;
};

static bool add_value(struct recipe *r, const msgpack_object *o, bool outermost);

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

/* The same number for the same file, wherever it is laid over something. */
static bool add_mark(struct recipe *r, const msgpack_object_kv *kv)
{
    size_t i =
        mp_is(&kv->key, "source") ? spec_image_mark_find(r->spec, &kv->val) : r->spec->n_marks;

    if (i == r->spec->n_marks)
        return false;
    mp_str(&r->pk, "source");
    msgpack_pack_uint64(&r->pk, i);
    return true;
}

static bool add_map(struct recipe *r, const msgpack_object_map *map, bool outermost)
{
    msgpack_pack_map(&r->pk, map->size);
    for (const msgpack_object_kv *kv = next_pair(map, NULL); kv != NULL;
         kv = next_pair(map, kv)) {
        if ((outermost && mp_is(&kv->key, "source")) || add_mark(r, kv))
            continue;
        if (may_change(&kv->key))
            return false;
        mp_slice(&r->pk, mp_as_slice(&kv->key));
        if (!add_value(r, &kv->val, false))
            return false;
    }
    return true;
}

/* Nesting is bounded: args have passed mp_check(). */
static bool add_value(struct recipe *r, const msgpack_object *o, bool outermost)
{
    if (o->type == MSGPACK_OBJECT_MAP)
        return add_map(r, &o->via.map, outermost);
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        msgpack_pack_object(&r->pk, *o);
        return true;
    }
    msgpack_pack_array(&r->pk, o->via.array.size);
    for (uint32_t i = 0; i < o->via.array.size; i++) {
        if (!add_value(r, &o->via.array.ptr[i], false))
            return false;
    }
    return true;
}

bool result_key_recipe(const char *type, const msgpack_object *args,
                       const struct spec_image *spec, const uint8_t engine[HASH_LEN],
                       uint8_t ret[HASH_LEN])
{
    AUTO(buf_done) struct buf text = {0};
    struct recipe r = {.spec = spec};

    mp_packer(&r.pk, &text);
    mp_str(&r.pk, FORM);
    mp_bin(&r.pk, slice_of((const char *)engine, HASH_LEN));
    mp_str(&r.pk, type);
    if (!add_value(&r, args, true) || buf_failed(&text))
        return false;
    hash_sha256(text.data, text.len, ret);
    return true;
}

void result_key_files(const uint8_t recipe[HASH_LEN], const uint8_t files[][HASH_LEN], size_t n,
                      uint8_t ret[HASH_LEN])
{
    uint8_t all[1 + IMAGE_FILES_MAX][HASH_LEN];

    must(n <= IMAGE_FILES_MAX);
    memcpy(all[0], recipe, HASH_LEN);
    memcpy(all[1], files, n * HASH_LEN);
    hash_sha256(all, (1 + n) * HASH_LEN, ret);
}
