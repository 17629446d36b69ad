/* render_json: JSON to msgpack for the tests of the renderer, which do not link jansson.
 * Strings stand between ' as well as ", so that they read well in C. What is wrong aborts. */
#ifndef TESTS_UNIT_RENDER_JSON_H
#define TESTS_UNIT_RENDER_JSON_H

#include <ctype.h>

#include "shared/mp.h"

static void json_value(const char **at, msgpack_packer *pk);

static char json_next(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
    return **at;
}

static void json_string(const char **at, msgpack_packer *pk)
{
    char quote = *(*at)++;
    const char *end = strchr(*at, quote);

    must(end != NULL);
    mp_slice(pk, slice_of(*at, (size_t)(end - *at)));
    *at = end + 1;
}

/* Counts first, since msgpack puts the number of items before them: a dry run into nothing. */
static size_t json_items(const char **at, msgpack_packer *pk, bool map, char close)
{
    size_t n = 0;

    while (json_next(at) != close) {
        if (n > 0) {
            must(**at == ',');
            (*at)++;
            (void)json_next(at);
        }
        json_value(at, pk);
        if (map) {
            must(json_next(at) == ':');
            (*at)++;
            (void)json_next(at);
            json_value(at, pk);
        }
        n++;
    }
    (*at)++;
    return n;
}

static void json_container(const char **at, msgpack_packer *pk)
{
    bool map = *(*at)++ == '{';
    struct buf scratch = {0};
    msgpack_packer dry;
    const char *ahead = *at;
    size_t n;

    mp_packer(&dry, &scratch);
    n = json_items(&ahead, &dry, map, map ? '}' : ']');
    buf_done(&scratch);
    if (map)
        msgpack_pack_map(pk, n);
    else
        msgpack_pack_array(pk, n);
    (void)json_items(at, pk, map, map ? '}' : ']');
}

static void json_number(const char **at, msgpack_packer *pk)
{
    char *end;
    double v = strtod(*at, &end);

    must(end != *at);
    if (v == (double)(int64_t)v && memchr(*at, '.', (size_t)(end - *at)) == NULL)
        msgpack_pack_int64(pk, (int64_t)v);
    else
        msgpack_pack_double(pk, v);
    *at = end;
}

static void json_value(const char **at, msgpack_packer *pk)
{
    char c = json_next(at);

    if (c == '{' || c == '[') {
        json_container(at, pk);
    } else if (c == '\'' || c == '"') {
        json_string(at, pk);
    } else if (strncmp(*at, "true", 4) == 0) {
        msgpack_pack_true(pk);
        *at += 4;
    } else if (strncmp(*at, "false", 5) == 0) {
        msgpack_pack_false(pk);
        *at += 5;
    } else {
        json_number(at, pk);
    }
}

static inline void json_pack(const char *json, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    json_value(&json, &pk);
    must(json_next(&json) == '\0' && !buf_failed(out));
}

#endif
