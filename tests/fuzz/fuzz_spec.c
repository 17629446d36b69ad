/* Any msgpack as the args of any job type, or as follow-ups. A refusal names a place that begins
 * where the check was told that it stands, and a rule; what is taken keeps within the limits. The
 * lowest bits of byte 0 choose what it is. */
#include "queue/spec.h"
#include "shared/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HERE "/here"

static void check_told(enum err e, const struct spec_fault *told, const char *at)
{
    if (e == ERR_OK) {
        must(told->text[0] == '\0');
        return;
    }
    must(e == ERR_MALFORMED);
    must(told->text[0] != '\0');
    must(strncmp(told->pointer, at, strlen(at)) == 0);
    must(utf8_is_text(slice_str(told->pointer)));
}

static void check_output(const struct image_output *out)
{
    must(out->name[0] != '\0' && out->name[0] != '.');
    must(strchr(out->name, '/') == NULL);
    must(out->n_ops <= SPEC_IMAGE_OPS_MAX);
    must(out->how.quality <= 100 && image_format_is_written(out->format));
    for (size_t i = 0; i < out->n_ops; i++) {
        const struct image_op *op = &out->ops[i];

        must(op->kind < IMAGE_OPS);
        if (op->kind == IMAGE_OP_SHARPEN)
            must(op->u.adjust.amount >= 0.3 && op->u.adjust.amount <= 10);
        if (op->kind == IMAGE_OP_RESIZE)
            must(op->u.resize.width <= 16384 && op->u.resize.height <= 16384 &&
                 op->u.resize.dpr >= 0.1 && op->u.resize.dpr <= 8);
        if (op->kind == IMAGE_OP_TEXT)
            must(utf8_is_text(op->u.text.text) && op->u.text.text.len <= 2000);
        if (op->kind == IMAGE_OP_WATERMARK)
            must(op->u.watermark.mark < SPEC_IMAGE_MARKS_MAX);
    }
}

static void check_image(const msgpack_object *o)
{
    struct spec_image *image = malloc(sizeof *image);

    if (image != NULL && spec_image_parse(o, HERE, image, NULL) == ERR_OK) {
        must(image->n_outputs >= 1 && image->n_outputs <= SPEC_IMAGE_OUTPUTS_MAX);
        must(image->source.kind == IMAGE_SOURCE_UPLOAD || image->source.text.len > 0);
        for (size_t i = 0; i < image->n_outputs; i++)
            check_output(&image->outputs[i]);
    }
    free(image);
}

static void check_follow_ups(const msgpack_object *o)
{
    struct spec_job ups[JOB_FOLLOW_MAX];
    struct spec_fault told = {"", ""};
    size_t n = 0;
    enum err e = spec_follow_ups(o, ups, &n, &told);

    check_told(e, &told, "/then");
    must(n <= JOB_FOLLOW_MAX);
    for (size_t i = 0; i < n; i++)
        must(ups[i].type != NULL && job_name_is_valid(slice_str(ups[i].queue)) &&
             ups[i].type->check(ups[i].args, HERE, NULL) == ERR_OK);
}

static void check_args(const struct spec_type *type, const msgpack_object *o)
{
    struct spec_fault told = {"", ""};

    check_told(type->check(o, HERE, &told), &told, HERE);
    check_image(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    msgpack_zone zone;
    msgpack_object root;
    size_t n;
    const struct spec_type *types = spec_table(&n);

    if (len == 0 || !msgpack_zone_init(&zone, 4096))
        return 0;
    if (mp_parse(slice_of(data + 1, len - 1), &MP_LIMITS_DEFAULT, &zone, &root, NULL) ==
        ERR_OK) {
        size_t choice = data[0] % (n + 1);

        if (choice == n)
            check_follow_ups(&root);
        else
            check_args(&types[choice], &root);
    }
    msgpack_zone_destroy(&zone);
    return 0;
}
