#include "queue/spec/image_limits.h"

/* Set before the first job is looked at, and never again. */
static struct spec_image_limits limits = {SPEC_IMAGE_OUTPUTS_MAX, SPEC_IMAGE_OPS_MAX,
                                          SPEC_IMAGE_MARKS_MAX};

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

void spec_image_set_limits(const struct spec_image_limits *l)
{
    limits.outputs = at_most(l->outputs, SPEC_IMAGE_OUTPUTS_MAX);
    limits.ops = at_most(l->ops, SPEC_IMAGE_OPS_MAX);
    limits.marks = at_most(l->marks, SPEC_IMAGE_MARKS_MAX);
}

const struct spec_image_limits *image_limits(void)
{
    return &limits;
}

enum err image_limit_array(const msgpack_object *v, size_t min, size_t max, const char *key,
                           const struct place *at, struct spec_fault *ret)
{
    if (v->type == MSGPACK_OBJECT_ARRAY && v->via.array.size > max)
        return walk_fault(at, ret, "has %u items, at most %zu are taken (%s)",
                          v->via.array.size, max, key);
    return walk_array(v, min, max, at, ret);
}
