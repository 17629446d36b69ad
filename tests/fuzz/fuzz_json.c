/* Any bytes as JSON. What is taken, what becomes of it and where a fault is found are as jansson has it
 * (json_oracle.h). What is taken becomes msgpack, is written as JSON and read again: both msgpack
 * forms are the same bytes, and the second JSON is the first. */
#include "shared/json.h"
#include "tests/fuzz/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define DEPTH 32

static void check_way_back(struct slice mp)
{
    struct buf json = {0}, mp_again = {0}, json_again = {0};
    struct fault why;

    json_from_msgpack_bytes(mp, &json);
    must(json_to_msgpack(buf_slice(&json), DEPTH, &mp_again, &why) == ERR_OK);
    must(slice_eq(mp, buf_slice(&mp_again)));
    json_from_msgpack_bytes(buf_slice(&mp_again), &json_again);
    must(slice_eq(buf_slice(&json), buf_slice(&json_again)));
    buf_done(&json);
    buf_done(&mp_again);
    buf_done(&json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct mp_limits limits = {
        .max_depth = DEPTH, .max_items = len, .max_bytes = SIZE_MAX};
    struct slice in = slice_of(data, len);
    struct fault why = {0};
    struct buf mp = {0};
    enum err e = json_to_msgpack(in, DEPTH, &mp, &why);

    must((e == ERR_OK) == (why.err == ERR_OK));
    must(e == ERR_OK || (mp.len == 0 && why.text[0] != '\0'));
    oracle_compare(in, e, buf_slice(&mp), &why);
    if (e == ERR_OK) {
        must(mp_check(buf_slice(&mp), &limits, &why) == ERR_OK);
        check_way_back(buf_slice(&mp));
    }
    buf_clear(&mp);
    json_quote(in, &mp); /* whatever the bytes are, the quoted text is JSON */
    {
        struct buf out = {0};

        if (memchr(data, '\0', len) == NULL)
            must(json_to_msgpack(buf_slice(&mp), 1, &out, NULL) == ERR_OK);
        buf_done(&out);
    }
    buf_done(&mp);
    return 0;
}
