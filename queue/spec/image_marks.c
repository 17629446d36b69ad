#include "queue/spec/image_limits.h"
#include "queue/spec/image_op.h"

static bool same_source(const struct image_source *a, const struct image_source *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == IMAGE_SOURCE_UPLOAD)
        return memcmp(&a->upload, &b->upload, sizeof a->upload) == 0;
    return slice_eq(a->text, b->text);
}

/* n_marks: it is none of them yet. */
static size_t find(const struct spec_image *image, const struct image_source *source)
{
    size_t i = 0;

    while (i < image->n_marks && !same_source(&image->marks[i], source))
        i++;
    return i;
}

/* Each source once, however often it is laid over something. */
static bool add_mark(struct spec_image *image, struct image_watermark *w)
{
    size_t i = find(image, &w->source);

    if (i >= image_limits()->marks)
        return false;
    image->marks[i] = w->source;
    if (i == image->n_marks)
        image->n_marks++;
    w->mark = i;
    return true;
}

enum err image_marks_gather(struct spec_image *image, const struct place *root,
                            struct spec_fault *ret)
{
    struct place outputs = place_key(root, SLICE_LIT("outputs"));

    for (size_t i = 0; i < image->n_outputs; i++) {
        struct image_output *o = &image->outputs[i];
        struct place output = place_index(&outputs, i);
        struct place ops = place_key(&output, SLICE_LIT("ops"));

        for (size_t k = 0; k < o->n_ops; k++) {
            struct place op = place_index(&ops, k);

            if (o->ops[k].kind == IMAGE_OP_WATERMARK &&
                !add_mark(image, &o->ops[k].u.watermark))
                return walk_fault(&op, ret,
                                  "is one too many: watermarks may come from %zu files "
                                  "(IMAGE_MARKS)",
                                  image_limits()->marks);
        }
    }
    return ERR_OK;
}

size_t spec_image_mark_find(const struct spec_image *image, const msgpack_object *source)
{
    struct place nowhere = place_root("");
    struct image_source s = {.text = SLICE_LIT("")};

    if (image_source_take(&s, source, &nowhere, NULL) != ERR_OK)
        return image->n_marks;
    return find(image, &s);
}

static bool lays_over(const struct image_op *op, size_t mark)
{
    return op->kind == IMAGE_OP_WATERMARK && op->u.watermark.mark == mark;
}

void spec_image_mark_pointer(const struct spec_image *image, size_t mark,
                             char dst[SPEC_IMAGE_POINTER_MAX])
{
    dst[0] = '\0';
    for (size_t i = 0; i < image->n_outputs; i++) {
        for (size_t k = 0; k < image->outputs[i].n_ops; k++) {
            if (!lays_over(&image->outputs[i].ops[k], mark))
                continue;
            (void)snprintf(dst, SPEC_IMAGE_POINTER_MAX,
                           "/args/outputs/%zu/ops/%zu/watermark/source", i, k);
            return;
        }
    }
}
