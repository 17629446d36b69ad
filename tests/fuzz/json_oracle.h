/* JSON to msgpack by way of jansson: slow, and by other people. What json_to_msgpack() takes, what it makes of
 * it and where it finds a fault must be the same. Nesting must have been bounded before. */
#ifndef TESTS_FUZZ_JSON_ORACLE_H
#define TESTS_FUZZ_JSON_ORACLE_H

#include <jansson.h>

#include "shared/json.h"

static void oracle_pack(msgpack_packer *pk, json_t *v, size_t *most_members);

static void oracle_pack_object(msgpack_packer *pk, json_t *object, size_t *most_members)
{
    const char *key;
    json_t *value;
    size_t n = json_object_size(object);

    *most_members = n > *most_members ? n : *most_members;
    msgpack_pack_map(pk, n);
    json_object_foreach(object, key, value)
    {
        mp_str(pk, key); /* jansson refuses keys with NUL */
        oracle_pack(pk, value, most_members);
    }
}

static void oracle_pack_array(msgpack_packer *pk, json_t *array, size_t *most_members)
{
    json_t *value;
    size_t i;

    msgpack_pack_array(pk, json_array_size(array));
    json_array_foreach(array, i, value) oracle_pack(pk, value, most_members);
}

static void oracle_pack(msgpack_packer *pk, json_t *v, size_t *most_members)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        oracle_pack_object(pk, v, most_members);
        break;
    case JSON_ARRAY:
        oracle_pack_array(pk, v, most_members);
        break;
    case JSON_STRING:
        mp_slice(pk, slice_of(json_string_value(v), json_string_length(v)));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(pk, json_integer_value(v));
        break;
    case JSON_REAL:
        msgpack_pack_double(pk, json_real_value(v));
        break;
    case JSON_TRUE:
        msgpack_pack_true(pk);
        break;
    case JSON_FALSE:
        msgpack_pack_false(pk);
        break;
    case JSON_NULL:
        msgpack_pack_nil(pk);
        break;
    }
}

/* Gives ERR_OK or ERR_MALFORMED; place: "line N, column N" of a fault. */
static enum err oracle(struct slice json, struct buf *out, size_t *most_members, char place[64])
{
    json_error_t why;
    json_t *root = json_loadb(json.len == 0 ? "" : json.ptr, json.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    msgpack_packer pk;

    *most_members = 0;
    if (root == NULL) {
        (void)snprintf(place, 64, "line %d, column %d:", why.line, why.column);
        return ERR_MALFORMED;
    }
    mp_packer(&pk, out);
    oracle_pack(&pk, root, most_members);
    json_decref(root);
    return ERR_OK;
}

/* Aborts, having printed both, if they differ. An object of too many members is refused by us alone, wherever
 * else the oracle may have found fault; so is a NUL byte behind a number; a nesting too deep was told before. */
static void oracle_compare(struct slice json, enum err e, struct slice mp,
                           const struct fault *why)
{
    struct buf want = {0};
    size_t most_members;
    char place[64] = "";
    enum err wanted;
    bool same;

    if (strstr(why->text, "nested more than") != NULL ||
        strstr(why->text, "an object of more than") != NULL)
        return;
    if (memchr(json.ptr, '\0', json.len) !=
        NULL) { /* jansson overlooks one behind a number or a word */
        must(e == ERR_MALFORMED);
        return;
    }
    wanted = oracle(json, &want, &most_members, place);
    same = e == wanted && slice_eq(mp, buf_slice(&want)) && most_members <= JSON_MEMBERS_MAX &&
           (e == ERR_OK || strstr(why->text, place) != NULL);
    if (!same)
        (void)fprintf(stderr, "'" SLICE_FMT "': %s \"%s\", wanted %s %s\n", SLICE_ARG(json),
                      err_name(e), why->text, err_name(wanted), place);
    must(same);
    buf_done(&want);
}

#endif
