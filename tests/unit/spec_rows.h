/* spec_rows: tables of {JSON, what is told}, for the tests of job types. Include after cmocka.h. */
#ifndef TESTS_UNIT_SPEC_ROWS_H
#define TESTS_UNIT_SPEC_ROWS_H

#include "queue/spec.h"
#include "shared/json.h"

/* A JSON text as a msgpack object. */
struct doc {
    struct buf bytes;
    msgpack_zone zone;
    msgpack_object root;
};

static inline void doc_open(struct doc *d, const char *json)
{
    struct fault why = {.text = ""};

    memset(d, 0, sizeof *d);
    if (json_to_msgpack(slice_str(json), 16, &d->bytes, &why) != ERR_OK)
        fail_msg("%s: %s", json, why.text);
    assert_true(msgpack_zone_init(&d->zone, 4096));
    if (mp_parse(buf_slice(&d->bytes), &MP_LIMITS_DEFAULT, &d->zone, &d->root, &why) != ERR_OK)
        fail_msg("%s: %s", json, why.text);
}

static inline void doc_close(struct doc *d)
{
    msgpack_zone_destroy(&d->zone);
    buf_done(&d->bytes);
}

struct row {
    const char *json;
    const char *pointer, *text; /* NULL: it is right */
};

static inline void check_told(const char *json, enum err e, const struct spec_fault *told,
                              const struct row *want)
{
    if (want->pointer == NULL) {
        if (e != ERR_OK)
            fail_msg("%s\n  refused: %s %s", json, told->pointer, told->text);
        return;
    }
    if (e != ERR_MALFORMED || strcmp(told->pointer, want->pointer) != 0 ||
        strcmp(told->text, want->text) != 0)
        fail_msg("%s\n  told: %s %s\n  want: %s %s", json, told->pointer, told->text,
                 want->pointer, want->text);
}

static inline void check_rows(const char *type, const struct row *rows, size_t n)
{
    const struct spec_type *spec = spec_find(type);

    assert_non_null(spec);
    for (size_t i = 0; i < n; i++) {
        struct spec_fault told = {"", ""};
        struct doc d;

        doc_open(&d, rows[i].json);
        check_told(rows[i].json, spec->check(&d.root, "/args", &told), &told, &rows[i]);
        assert_int_equal(spec->check(&d.root, "/args", NULL),
                         rows[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        doc_close(&d);
    }
}

#define ABSOLUTE "must be an absolute http or https URL"

#endif
