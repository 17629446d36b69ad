#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/json.h"
#include "worker/srcset.h"

#define URL "/v1/jobs/01000000-0000-0000-0000-000000000000/outputs/"

static void check(const char *args_json, const struct srcset_item *items, size_t n,
                  const char *want)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    const struct uuid job = {{1}};
    struct buf packed = {0}, out = {0}, text = {0};
    msgpack_object args;
    msgpack_packer pk;
    msgpack_zone zone;

    assert_true(msgpack_zone_init(&zone, 1024));
    assert_int_equal(json_to_msgpack(slice_str(args_json), 16, &packed, NULL), ERR_OK);
    assert_int_equal(mp_parse(buf_slice(&packed), &limits, &zone, &args, NULL), ERR_OK);
    mp_packer(&pk, &out);
    msgpack_pack_map(&pk, srcset_pairs(&args));
    srcset_pack(&pk, &job, &args, items, n);
    json_from_msgpack_bytes(buf_slice(&out), &text);
    assert_string_equal(buf_cstr(&text), want);
    msgpack_zone_destroy(&zone);
    buf_done(&packed);
    buf_done(&out);
    buf_done(&text);
}

static void formats_become_sources_and_the_last_one_the_image(void **state)
{
    static const struct srcset_item items[] = {{"webp-320", IMAGE_WEBP, 320, 200},
                                               {"webp-640", IMAGE_WEBP, 640, 400},
                                               {"jpeg-320", IMAGE_JPEG, 320, 200},
                                               {"jpeg-640", IMAGE_JPEG, 640, 400}};

    (void)state;
    check("{\"srcset\":{}}", items, COUNT_OF(items),
          "{\"srcset\":{\"webp\":\"" URL "webp-320 320w, " URL "webp-640 640w\",\"jpeg\":\"" URL
          "jpeg-320 320w, " URL
          "jpeg-640 640w\"},\"picture\":\"<picture><source type=\\\"image/webp\\\" "
          "srcset=\\\"" URL "webp-320 320w, " URL "webp-640 640w\\\"><img src=\\\"" URL
          "jpeg-640\\\" srcset=\\\"" URL "jpeg-320 320w, " URL
          "jpeg-640 640w\\\" width=\\\"640\\\" height=\\\"400\\\" alt=\\\"\\\"></picture>\"}");
}

static void widths_that_came_out_alike_are_named_once(void **state)
{
    static const struct srcset_item items[] = {{"png-900", IMAGE_PNG, 500, 300},
                                               {"png-400", IMAGE_PNG, 400, 240},
                                               {"png-700", IMAGE_PNG, 500, 300}};

    (void)state;
    check("{\"srcset\":{}}", items, COUNT_OF(items),
          "{\"srcset\":{\"png\":\"" URL "png-900 500w, " URL
          "png-400 400w\"},\"picture\":\"<picture>"
          "<img src=\\\"" URL "png-900\\\" srcset=\\\"" URL "png-900 500w, " URL
          "png-400 400w\\\" width=\\\"500\\\" height=\\\"300\\\" alt=\\\"\\\"></picture>\"}");
}

static void sizes_cannot_leave_their_attribute(void **state)
{
    static const struct srcset_item item = {"png-9", IMAGE_PNG, 9, 3};

    (void)state;
    check("{\"srcset\":{\"sizes\":\"a\\\"><script>&'\"}}", &item, 1,
          "{\"srcset\":{\"png\":\"" URL "png-9 9w\"},\"picture\":\"<picture><img src=\\\"" URL
          "png-9\\\" srcset=\\\"" URL
          "png-9 9w\\\" sizes=\\\"a&quot;&gt;&lt;script&gt;&amp;'\\\" "
          "width=\\\"9\\\" height=\\\"3\\\" alt=\\\"\\\"></picture>\"}");
}

static void other_jobs_get_nothing(void **state)
{
    (void)state;
    check("{\"outputs\":[]}", NULL, 0, "{}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_become_sources_and_the_last_one_the_image),
        cmocka_unit_test(widths_that_came_out_alike_are_named_once),
        cmocka_unit_test(sizes_cannot_leave_their_attribute),
        cmocka_unit_test(other_jobs_get_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
