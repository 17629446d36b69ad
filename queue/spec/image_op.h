/* image_op: the operations of one output, in the order in which they are done.
 *
 * Each is a row of a table: its name, its fields (image_field.h), what it is before any is given,
 * and a check of what the fields say together. One file a family, each with its rows. */
#ifndef QUEUE_SPEC_IMAGE_OP_H
#define QUEUE_SPEC_IMAGE_OP_H

#include "queue/spec/image_field.h"

/* at: of the operation. */
typedef enum err image_op_check_fn(const struct image_op *op, const struct place *at,
                                   struct spec_fault *ret);
struct image_op_row {
    const char *name;
    struct image_op blank;
    struct image_fields fields;
    image_op_check_fn *check; /* may be NULL */
};
struct image_family {
    const struct image_op_row *rows;
    size_t n;
};
extern const struct image_family image_family_size, image_family_turn, image_family_look,
    image_family_over;

/* Rows of tables: a field of that kind, kept in member of struct image_op. */
#define OP_AT(member) offsetof(struct image_op, u.member)

/* A list of maps with one key each: [{"resize": {…}}, {"sharpen": {}}]. */
MUST_USE enum err image_ops_take(const msgpack_object *v, struct image_output *out,
                                 const struct place *at, struct spec_fault *ret);
/* "outputs": [{…}]; out is a struct spec_image. */
enum err image_outputs_take(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret);
/* "source": {"upload"} or {"url"} or {"path"}; out is a struct image_source. */
enum err image_source_take(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret);
/* Numbers the files of the watermarks; after the outputs. root: of the args. */
MUST_USE enum err image_marks_gather(struct spec_image *image, const struct place *root,
                                     struct spec_fault *ret);

#endif
