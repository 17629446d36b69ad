#include "worker/image_result.h"

#include <string.h>

#include "queue/spec.h"
#include "shared/hash.h"
#include "worker/srcset.h"

/* --- outputs ---------------------------------------------------------------------------------- */

static uint64_t get_uint(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = mp_get(map, key);

    return o != NULL && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
}

static struct slice get_text(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = mp_get(map, key);

    return o != NULL && o->type == MSGPACK_OBJECT_STR ? mp_as_slice(o) : slice_of("", 0);
}

static enum err take_row(const msgpack_object *o, struct ledger_output *row)
{
    struct slice name = get_text(o, "name");
    enum image_format format;
    char hex[HASH_HEX_SIZE], file[HASH_HEX_SIZE + 16];

    if (name.len == 0 || !image_format_parse(get_text(o, "format"), &format) ||
        !hex_parse(get_text(o, "sha256"), row->sha256, HASH_LEN))
        return ERR_MALFORMED;
    (void)hex_text(row->sha256, HASH_LEN, hex);
    (void)snprintf(file, sizeof file, "%.2s/%s.%s", hex, hex, image_format_ext(format));
    row->name = strndup(name.ptr, name.len);
    row->file = strdup(file);
    row->format = image_format_name(format);
    row->width = (uint32_t)get_uint(o, "width");
    row->height = (uint32_t)get_uint(o, "height");
    row->bytes = get_uint(o, "bytes");
    return row->name != NULL && row->file != NULL ? ERR_OK : ERR_NOMEM;
}

void image_rows_free(struct image_rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free((void *)(uintptr_t)r->rows[i].name);
        free((void *)(uintptr_t)r->rows[i].file);
    }
    free(r->rows);
    *r = (struct image_rows){.rows = NULL};
}

static enum err take_rows(const msgpack_object *outputs, struct image_rows *ret)
{
    struct image_rows r = {.n = outputs->via.array.size};
    enum err e;

    r.rows = calloc(r.n + 1, sizeof *r.rows);
    if (r.rows == NULL)
        return ERR_NOMEM;
    e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < r.n; i++)
        e = take_row(&outputs->via.array.ptr[i], &r.rows[i]);
    if (e == ERR_OK)
        *ret = r;
    else
        image_rows_free(&r);
    return e;
}

/* --- the map ---------------------------------------------------------------------------------- */

/* Said of the one that did the work alone, or made of the job's own id. */
static bool is_its_own(const msgpack_object *key)
{
    static const char *const own[] = {"render_ms", "cpu_ms", "predicted_ms",
                                      "peak_rss",  "srcset", "picture"};

    for (size_t i = 0; i < COUNT_OF(own); i++) {
        if (mp_is(key, own[i]))
            return true;
    }
    return false;
}

struct repeat {
    const struct uuid *job;
    const msgpack_object *args;
    struct image_rows out;
};

static enum err pack_srcset(msgpack_packer *pk, const struct repeat *r)
{
    struct srcset_item *items = calloc(r->out.n + 1, sizeof *items);

    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->out.n; i++) {
        items[i] = (struct srcset_item){.name = r->out.rows[i].name,
                                        .width = r->out.rows[i].width,
                                        .height = r->out.rows[i].height};
        (void)!image_format_parse(slice_str(r->out.rows[i].format), &items[i].format);
    }
    srcset_pack(pk, r->job, r->args, items, r->out.n);
    free(items);
    return ERR_OK;
}

static enum err pack_again(const msgpack_object_map *map, const struct repeat *r,
                           struct buf *out)
{
    msgpack_packer pk;
    size_t n = 1 + srcset_pairs(r->args);
    enum err e;

    for (uint32_t i = 0; i < map->size; i++)
        n += !is_its_own(&map->ptr[i].key);
    mp_packer(&pk, out);
    msgpack_pack_map(&pk, n);
    for (uint32_t i = 0; i < map->size; i++) {
        if (is_its_own(&map->ptr[i].key))
            continue;
        msgpack_pack_object(&pk, map->ptr[i].key);
        msgpack_pack_object(&pk, map->ptr[i].val);
    }
    e = pack_srcset(&pk, r);
    mp_str(&pk, "cached");
    msgpack_pack_true(&pk);
    return e;
}

static enum err repeat(const msgpack_object *root, struct repeat *r, struct buf *out)
{
    const msgpack_object *outputs = mp_get(root, "outputs");
    enum err e;

    if (outputs == NULL || outputs->type != MSGPACK_OBJECT_ARRAY)
        return ERR_MALFORMED;
    e = take_rows(outputs, &r->out);
    if (e == ERR_OK)
        e = pack_again(&root->via.map, r, out);
    return e;
}

enum err image_result_repeat(struct slice stored, const struct uuid *job,
                             const msgpack_object *args, struct buf *out,
                             struct image_rows *ret, struct fault *reterr)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct repeat r = {.job = job, .args = args};
    msgpack_object root;
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 2048))
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a stored result");
    e = mp_parse(stored, &limits, &zone, &root, reterr);
    if (e == ERR_OK)
        e = repeat(&root, &r, out);
    msgpack_zone_destroy(&zone);
    if (e != ERR_OK) {
        image_rows_free(&r.out);
        return fault_set(reterr, e == ERR_NOMEM ? ERR_NOMEM : ERR_INTERNAL, 0,
                         "a stored result cannot be read");
    }
    *ret = r.out;
    return ERR_OK;
}
