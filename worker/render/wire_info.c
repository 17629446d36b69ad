#include "worker/render/wire_info.h"

#include "shared/utf8.h"

/* --- writing ------------------------------------------------------------------------------- */

static void field_uint(msgpack_packer *pk, const char *key, uint64_t v)
{
    mp_str(pk, key);
    msgpack_pack_uint64(pk, v);
}

static void field_bool(msgpack_packer *pk, const char *key, bool v)
{
    mp_str(pk, key);
    if (v)
        msgpack_pack_true(pk);
    else
        msgpack_pack_false(pk);
}

static void field_str(msgpack_packer *pk, const char *key, const char *v)
{
    mp_str(pk, key);
    mp_str(pk, v);
}

static void pack_colour(msgpack_packer *pk, const struct wire_colour *c)
{
    char text[8];

    (void)snprintf(text, sizeof text, "#%02x%02x%02x", c->rgb[0], c->rgb[1], c->rgb[2]);
    msgpack_pack_map(pk, 2);
    field_str(pk, "colour", text);
    mp_str(pk, "share");
    msgpack_pack_double(pk, c->share / 1000.0);
}

void wire_info_pack(msgpack_packer *pk, const struct wire_info *m)
{
    msgpack_pack_map(pk, 12);
    field_uint(pk, "pages", m->pages);
    field_uint(pk, "orientation", m->orientation);
    field_uint(pk, "bits", m->bits);
    field_bool(pk, "has_alpha", m->has_alpha);
    field_bool(pk, "has_profile", m->has_profile);
    field_str(pk, "space", m->space);
    field_str(pk, "blurhash", m->blurhash);
    field_str(pk, "thumbhash", m->thumbhash);
    field_str(pk, "dhash", m->dhash);
    field_str(pk, "phash", m->phash);
    mp_str(pk, "colours");
    msgpack_pack_array(pk, m->n_colours);
    for (size_t i = 0; i < m->n_colours; i++)
        pack_colour(pk, &m->colours[i]);
    mp_str(pk, "exif");
    msgpack_pack_map(pk, m->n_exif);
    for (size_t i = 0; i < m->n_exif; i++)
        field_str(pk, m->exif[i].name, m->exif[i].value);
}

/* --- reading ------------------------------------------------------------------------------- */

static bool get_u32(const msgpack_object *map, const char *key, uint32_t *ret)
{
    const msgpack_object *o = mp_get(map, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > UINT32_MAX)
        return false;
    *ret = (uint32_t)o->via.u64;
    return true;
}

static bool get_bool(const msgpack_object *map, const char *key, bool *ret)
{
    const msgpack_object *o = mp_get(map, key);

    if (o == NULL || o->type != MSGPACK_OBJECT_BOOLEAN)
        return false;
    *ret = o->via.boolean;
    return true;
}

static bool as_text(const msgpack_object *o, char *ret, size_t cap)
{
    return o != NULL && o->type == MSGPACK_OBJECT_STR && utf8_is_text(mp_as_slice(o)) &&
           slice_to_cstr(mp_as_slice(o), ret, cap);
}

static bool read_colour(const msgpack_object *o, struct wire_colour *ret)
{
    const msgpack_object *share;
    unsigned long rgb;
    char text[8];

    if (o->type != MSGPACK_OBJECT_MAP || !as_text(mp_get(o, "colour"), text, sizeof text) ||
        strlen(text) != 7 || text[0] != '#' || strspn(text + 1, "0123456789abcdef") != 6)
        return false;
    rgb = strtoul(text + 1, NULL, 16);
    for (int i = 0; i < 3; i++)
        ret->rgb[i] = (uint8_t)(rgb >> (16 - 8 * i));
    share = mp_get(o, "share");
    if (share == NULL ||
        (share->type != MSGPACK_OBJECT_FLOAT64 && share->type != MSGPACK_OBJECT_FLOAT32) ||
        !(share->via.f64 >= 0 && share->via.f64 <= 1))
        return false;
    ret->share = (uint32_t)(share->via.f64 * 1000 + 0.5);
    return true;
}

static bool read_colours(const msgpack_object *list, struct wire_info *m)
{
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY ||
        list->via.array.size > WIRE_COLOURS_MAX)
        return false;
    m->n_colours = list->via.array.size;
    for (size_t i = 0; i < m->n_colours; i++) {
        if (!read_colour(&list->via.array.ptr[i], &m->colours[i]))
            return false;
    }
    return true;
}

static bool read_exif(const msgpack_object *map, struct wire_info *m)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP || map->via.map.size > WIRE_EXIF_MAX)
        return false;
    m->n_exif = map->via.map.size;
    for (size_t i = 0; i < m->n_exif; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (!as_text(&kv->key, m->exif[i].name, sizeof m->exif[i].name) ||
            !as_text(&kv->val, m->exif[i].value, sizeof m->exif[i].value))
            return false;
    }
    return true;
}

bool wire_info_read(const msgpack_object *map, struct wire_info *ret)
{
    return map->type == MSGPACK_OBJECT_MAP && get_u32(map, "pages", &ret->pages) &&
           get_u32(map, "orientation", &ret->orientation) && get_u32(map, "bits", &ret->bits) &&
           get_bool(map, "has_alpha", &ret->has_alpha) &&
           get_bool(map, "has_profile", &ret->has_profile) &&
           as_text(mp_get(map, "space"), ret->space, sizeof ret->space) &&
           as_text(mp_get(map, "blurhash"), ret->blurhash, sizeof ret->blurhash) &&
           as_text(mp_get(map, "thumbhash"), ret->thumbhash, sizeof ret->thumbhash) &&
           as_text(mp_get(map, "dhash"), ret->dhash, sizeof ret->dhash) &&
           as_text(mp_get(map, "phash"), ret->phash, sizeof ret->phash) &&
           read_colours(mp_get(map, "colours"), ret) && read_exif(mp_get(map, "exif"), ret);
}
