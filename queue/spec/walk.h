/* walk: takes a msgpack value apart by tables of fields, and names what is wrong by JSON pointer.
 *
 * A place is where the walk stands: a chain on the stack, innermost first, turned into a pointer
 * only when a fault is told. A field's take function checks one value and stores it; walk_map
 * calls the right one for every key, refuses unknown and repeated keys, and misses required ones.
 * Values are borrowed: what a take function stores points into the message. */
#ifndef QUEUE_SPEC_WALK_H
#define QUEUE_SPEC_WALK_H

#include "queue/spec.h"

struct place {
    const struct place *up; /* NULL: the root */
    const char *root;       /* at the root: the pointer up to here */
    struct slice key;       /* below a map */
    size_t index;           /* below an array */
    bool is_index;
};

static inline struct place place_root(const char *pointer)
{
    return (struct place){.root = pointer};
}

static inline struct place place_key(const struct place *up, struct slice key)
{
    return (struct place){.up = up, .key = key};
}

static inline struct place place_index(const struct place *up, size_t index)
{
    return (struct place){.up = up, .index = index, .is_index = true};
}

/* Writes the pointer, cut where dst ends. */
void place_text(const struct place *at, char *dst, size_t cap);
/* Tells the fault at this place (ret may be NULL); gives ERR_MALFORMED. */
enum err walk_fault(const struct place *at, struct spec_fault *ret, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* out is what walk_map was given. */
typedef enum err walk_take_fn(void *out, const msgpack_object *value, const struct place *at,
                              struct spec_fault *ret);
struct walk_field {
    const char *name;
    walk_take_fn *take; /* NULL: any value will do and none is kept */
    bool required;
};
#define WALK_FIELDS_MAX 32 /* in one table */
struct walk_table {
    const struct walk_field *fields;
    size_t n;
};
#define WALK_TABLE(array) ((struct walk_table){(array), COUNT_OF(array)})

MUST_USE enum err walk_map(const msgpack_object *o, struct walk_table table, void *out,
                           const struct place *at, struct spec_fault *ret);

/* One value each; *ret_… is written only when the value is right. */
MUST_USE enum err walk_uint(const msgpack_object *o, uint32_t min, uint32_t max,
                            uint32_t *ret_value, const struct place *at,
                            struct spec_fault *ret);
MUST_USE enum err walk_bool(const msgpack_object *o, bool *ret_value, const struct place *at,
                            struct spec_fault *ret);
/* A string of 1 to max bytes. */
MUST_USE enum err walk_text(const msgpack_object *o, size_t max, struct slice *ret_value,
                            const struct place *at, struct spec_fault *ret);
/* The same without control characters: for what ends up on one line of a header or a log. */
MUST_USE enum err walk_line(const msgpack_object *o, size_t max, struct slice *ret_value,
                            const struct place *at, struct spec_fault *ret);
/* A name as queues and types have it (job_name_is_valid). */
MUST_USE enum err walk_name(const msgpack_object *o, struct slice *ret_value,
                            const struct place *at, struct spec_fault *ret);
#define WALK_URL_MAX 2048
/* An absolute http or https URL without user info. Where it may lead is for others to say. */
MUST_USE enum err walk_url(const msgpack_object *o, struct slice *ret_value,
                           const struct place *at, struct spec_fault *ret);

/* One of some words: gives its value. */
struct walk_word {
    const char *word;
    int value;
};
struct walk_words {
    const struct walk_word
        *words; /* listed in a fault; those after `shown` are accepted silently */
    size_t n, shown;
};
MUST_USE enum err walk_word(const msgpack_object *o, struct walk_words words, int *ret_value,
                            const struct place *at, struct spec_fault *ret);

/* An array of min to max values. */
MUST_USE enum err walk_array(const msgpack_object *o, size_t min, size_t max,
                             const struct place *at, struct spec_fault *ret);

#endif
