/* image_field: the fields of an operation, as a table: name, kind, where it is kept, range.
 *
 * walk.h finds what is unknown, repeated or missing; each kind here checks one sort of value:
 *
 *   UINT, INT   a whole number within min..max             uint32_t, int32_t
 *   NUMBER      any number within min..max                 double
 *   BOOL        true or false                              bool
 *   WORD        one of words                               int (an enum)
 *   COLOUR      "#rrggbb" or "#rrggbbaa"                   struct image_colour
 *   ANCHOR      a compass point, or {"x", "y"} of 0..1     struct image_anchor
 *   PLACE       the same with attention and entropy        struct image_anchor
 *   LENGTH      a whole number of pixels within min..max, or a part between 0 and 1
 *                                                          struct image_length
 *   TEXT        UTF-8 of 1 to max bytes                    struct slice
 *   OWN         whatever take makes of it                  at the caller's choice */
#ifndef QUEUE_SPEC_IMAGE_FIELD_H
#define QUEUE_SPEC_IMAGE_FIELD_H

#include "queue/spec/walk.h"

enum image_field_kind {
    FIELD_UINT,
    FIELD_INT,
    FIELD_NUMBER,
    FIELD_BOOL,
    FIELD_WORD,
    FIELD_COLOUR,
    FIELD_ANCHOR,
    FIELD_PLACE,
    FIELD_LENGTH,
    FIELD_TEXT,
    FIELD_OWN
};
struct image_field {
    const char *name;
    enum image_field_kind kind;
    size_t offset; /* from what image_fields_take is given */
    double min, max;
    struct walk_words words;
    walk_take_fn *take; /* of OWN; gets the address of its own value */
    bool required;
};
struct image_fields {
    const struct image_field *fields;
    size_t n;
};
#define IMAGE_FIELDS(array) ((struct image_fields){(array), COUNT_OF(array)})
#define IMAGE_WORDS(array)  ((struct walk_words){(array), COUNT_OF(array), COUNT_OF(array)})

MUST_USE enum err image_fields_take(const msgpack_object *v, struct image_fields table,
                                    void *out, const struct place *at, struct spec_fault *ret);

/* A finite number, whole or not. */
MUST_USE enum err image_number(const msgpack_object *v, double min, double max,
                               double *ret_value, const struct place *at,
                               struct spec_fault *ret);

#endif
