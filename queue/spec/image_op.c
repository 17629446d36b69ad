#include "queue/spec/image_op.h"
#include "queue/spec/image_limits.h"

static const struct image_family *const families[] = {
    &image_family_size,
    &image_family_turn,
    &image_family_look,
    &image_family_over,
};

static const struct image_op_row *find_row(struct slice name)
{
    for (size_t f = 0; f < COUNT_OF(families); f++) {
        for (size_t i = 0; i < families[f]->n; i++) {
            if (slice_is(name, families[f]->rows[i].name))
                return &families[f]->rows[i];
        }
    }
    return NULL;
}

static enum err take_op(const msgpack_object *v, struct image_op *op, const struct place *at,
                        struct spec_fault *ret)
{
    const struct image_op_row *row;
    const msgpack_object_kv *kv;
    struct place here;
    enum err e;

    if (v->type != MSGPACK_OBJECT_MAP || v->via.map.size != 1 ||
        v->via.map.ptr[0].key.type != MSGPACK_OBJECT_STR)
        return walk_fault(at, ret, "must be an object with one key, the operation");
    kv = &v->via.map.ptr[0];
    here = place_key(at, mp_as_slice(&kv->key));
    row = find_row(here.key);
    if (row == NULL)
        return walk_fault(&here, ret, "is no operation; docs/images.md lists them");
    *op = row->blank;
    e = image_fields_take(&kv->val, row->fields, op, &here, ret);
    return e == ERR_OK && row->check != NULL ? row->check(op, &here, ret) : e;
}

enum err image_ops_take(const msgpack_object *v, struct image_output *out,
                        const struct place *at, struct spec_fault *ret)
{
    enum err e = image_limit_array(v, 0, image_limits()->ops, "IMAGE_OPS", at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = take_op(&v->via.array.ptr[i], &out->ops[i], &here, ret);
        out->n_ops = i + 1;
    }
    return e;
}
