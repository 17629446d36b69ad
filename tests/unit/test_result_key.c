#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "queue/spec.h"
#include "shared/json.h"
#include "worker/image_result.h"
#include "worker/result_key.h"

static const uint8_t engine[HASH_LEN] = {1};

/* Gives false for what is not remembered. What is no spec has no watermarks. */
static bool key_of(const char *type, const char *json, uint8_t ret[HASH_LEN])
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct buf packed = {0};
    msgpack_object args;
    struct spec_image *spec = malloc(sizeof *spec);
    msgpack_zone zone;
    bool known;

    assert_non_null(spec);
    assert_true(msgpack_zone_init(&zone, 1024));
    assert_int_equal(json_to_msgpack(slice_str(json), 16, &packed, NULL), ERR_OK);
    assert_int_equal(mp_parse(buf_slice(&packed), &limits, &zone, &args, NULL), ERR_OK);
    if (spec_image_parse(&args, "/args", spec, NULL) != ERR_OK)
        spec->n_marks = 0;
    known = result_key_recipe(type, &args, spec, engine, ret);
    free(spec);
    msgpack_zone_destroy(&zone);
    buf_done(&packed);
    return known;
}

#define BASE "{\"source\":{\"upload\":\"a\"},\"outputs\":[{\"name\":\"n\",\"quality\":80}]}"

static void keys_tell_recipes_apart_and_nothing_else(void **state)
{
    static const struct {
        const char *json;
        bool same;
    } table[] = {
        {BASE, true},
        {"{\"outputs\":[{\"quality\":80,\"name\":\"n\"}],\"source\":{\"url\":\"http://a/\"}}",
         true},
        {"{\"source\":{\"path\":\"/a\"},\"outputs\":[{\"name\":\"n\",\"quality\":80}]}", true},
        {"{\"source\":1,\"outputs\":[{\"name\":\"n\",\"quality\":81}]}", false},
        {"{\"source\":1,\"outputs\":[{\"name\":\"m\",\"quality\":80}]}", false},
        {"{\"source\":1,\"outputs\":[{\"name\":\"n\"}]}", false},
        {"{\"source\":1,\"outputs\":[{\"name\":\"n\",\"quality\":80}],\"new\":null}", false},
        {"{\"source\":1,\"outputs\":[{\"name\":\"n\",\"quality\":80},{\"name\":\"n\","
         "\"quality\":80}]}",
         false},
        {"{\"source\":1,\"outputs\":{\"name\":\"n\",\"quality\":80}}", false},
        {"{\"source\":1,\"outputs\":[{\"nam\":\"en\",\"quality\":80}]}", false},
    };
    uint8_t base[HASH_LEN], key[HASH_LEN];

    (void)state;
    assert_true(key_of("image", BASE, base));
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_true(key_of("image", table[i].json, key));
        if ((memcmp(key, base, sizeof key) == 0) != table[i].same)
            fail_msg("%s", table[i].json);
    }
    assert_true(key_of("image.info", BASE, key));
    assert_memory_not_equal(key, base, sizeof key);
}

static void an_option_that_names_a_place_makes_a_job_that_is_not_remembered(void **state)
{
    static const char *const table[] = {
        "{\"source\":1,\"outputs\":[{\"ops\":[{\"mark\":{\"source\":{\"path\":\"/a\"}}}]}]}",
        "{\"source\":1,\"outputs\":[{\"ops\":[{\"mark\":{\"source\":{\"url\":\"http://"
        "a\"}}}]}]}",
        "{\"source\":1,\"path\":\"/a\"}",
    };
    uint8_t key[HASH_LEN];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_false(key_of("image", table[i], key));
    assert_true(key_of("image", "{\"source\":1,\"o\":{\"source\":{\"upload\":\"b\"}}}", key));
}

#define LAID(a, b, c)                                                                        \
    "{\"source\":{\"path\":\"/s\"},\"outputs\":[{\"name\":\"n\",\"ops\":[" MARK(a) "," MARK( \
        b) "," MARK(c) "]}]}"
#define MARK(source) "{\"watermark\":{\"source\":{" source "},\"opacity\":0.5}}"
#define URL_A        "\"url\":\"http://a/\""
#define URL_B        "\"url\":\"http://b/\""
#define PATH_A       "\"path\":\"/a\""
#define UPLOAD_A     "\"upload\":\"019a0b5c-7000-7000-8000-00000000002a\""

/* Whichever file is laid where counts, and not how it is named: its bytes are a hash of their own. */
static void watermarks_count_by_their_place_in_the_list_of_files(void **state)
{
    static const struct {
        const char *json;
        bool same;
    } table[] = {
        {LAID(PATH_A, URL_B, PATH_A), true},   {LAID(UPLOAD_A, URL_A, UPLOAD_A), true},
        {LAID(URL_A, URL_B, URL_B), false},    {LAID(URL_A, URL_A, URL_B), false},
        {LAID(URL_A, URL_B, UPLOAD_A), false}, {LAID(URL_A, URL_A, URL_A), false},
    };
    uint8_t base[HASH_LEN], key[HASH_LEN];

    (void)state;
    assert_true(key_of("image", LAID(URL_A, URL_B, URL_A), base));
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_true(key_of("image", table[i].json, key));
        if ((memcmp(key, base, sizeof key) == 0) != table[i].same)
            fail_msg("%s", table[i].json);
    }
}

static void every_file_counts(void **state)
{
    const uint8_t recipe[HASH_LEN] = {7};
    const uint8_t ab[2][HASH_LEN] = {{1}, {2}}, ac[2][HASH_LEN] = {{1}, {3}},
                  ba[2][HASH_LEN] = {{2}, {1}};
    uint8_t base[HASH_LEN], key[HASH_LEN];

    (void)state;
    result_key_files(recipe, ab, 2, base);
    result_key_files(recipe, ac, 2, key);
    assert_memory_not_equal(key, base, sizeof key);
    result_key_files(recipe, ba, 2, key);
    assert_memory_not_equal(key, base, sizeof key);
    result_key_files(recipe, ab, 1, key);
    assert_memory_not_equal(key, base, sizeof key);
    result_key_files(recipe, ac, 1, base);
    assert_memory_equal(key, base, sizeof key);
}

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void repeat(const char *json, enum err want, const char *want_json)
{
    struct buf packed = {0}, out = {0}, again = {0};
    const msgpack_object args = {.type = MSGPACK_OBJECT_MAP};
    const struct uuid job = {{1}};
    struct image_rows got = {.rows = NULL};

    assert_int_equal(json_to_msgpack(slice_str(json), 16, &packed, NULL), ERR_OK);
    assert_int_equal(image_result_repeat(buf_slice(&packed), &job, &args, &out, &got, NULL),
                     want);
    if (want == ERR_OK) {
        const struct mp_limits limits = MP_LIMITS_DEFAULT;
        msgpack_object root;
        msgpack_zone zone;

        assert_true(msgpack_zone_init(&zone, 1024));
        assert_int_equal(mp_parse(buf_slice(&out), &limits, &zone, &root, NULL), ERR_OK);
        json_from_msgpack(&root, &again);
        assert_string_equal(buf_cstr(&again), want_json);
        msgpack_zone_destroy(&zone);
        assert_int_equal(got.n, 1);
        assert_string_equal(got.rows[0].name, "n");
        assert_string_equal(got.rows[0].file, "00/" SHA ".jpg");
        assert_string_equal(got.rows[0].format, "jpeg");
        assert_int_equal(got.rows[0].width, 3);
        assert_int_equal(got.rows[0].bytes, 9);
        assert_int_equal(got.rows[0].sha256[1], 0x11);
    }
    image_rows_free(&got);
    buf_done(&packed);
    buf_done(&out);
    buf_done(&again);
}

#define OUTPUT(sha)                                                                        \
    "{\"name\":\"n\",\"format\":\"jpeg\",\"width\":3,\"height\":2,\"bytes\":9,\"sha256\":" \
    "\"" sha "\"}"

static void a_stored_result_is_told_without_what_it_cost(void **state)
{
    (void)state;
    repeat("{\"source\":{\"format\":\"png\"},\"outputs\":[" OUTPUT(
               SHA) "],\"render_ms\":5,\"cpu_ms\":4,"
                    "\"peak_rss\":3,\"info\":{\"a\":1}}",
           ERR_OK,
           "{\"source\":{\"format\":\"png\"},\"outputs\":[" OUTPUT(
               SHA) "],\"info\":{\"a\":1},\"cached\":true}");
}

static void a_stored_result_that_makes_no_sense_is_a_fault(void **state)
{
    static const char *const table[] = {
        "{}",
        "[]",
        "{\"outputs\":1}",
        "{\"outputs\":[1]}",
        "{\"outputs\":[" OUTPUT("00") "]}",
        "{\"outputs\":[" OUTPUT(
            "../../../../../../../../../../../../../../../../../../../etc/pass") "]}",
        "{\"outputs\":[{\"name\":\"n\",\"format\":\"bmp\",\"sha256\":\"" SHA "\"}]}",
        "{\"outputs\":[{\"format\":\"png\",\"sha256\":\"" SHA "\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        repeat(table[i], ERR_INTERNAL, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_tell_recipes_apart_and_nothing_else),
        cmocka_unit_test(an_option_that_names_a_place_makes_a_job_that_is_not_remembered),
        cmocka_unit_test(watermarks_count_by_their_place_in_the_list_of_files),
        cmocka_unit_test(every_file_counts),
        cmocka_unit_test(a_stored_result_is_told_without_what_it_cost),
        cmocka_unit_test(a_stored_result_that_makes_no_sense_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
