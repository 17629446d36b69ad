/* What an order is predicted to cost. No clock is asked: bench/README.md says how to compare. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/unit/render_json.h"
#include "worker/render/child/cost.h"

struct world {
    struct spec_image spec;
    struct plan plan;
    struct buf args;
    msgpack_zone zone;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct world));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void parse(struct world *w, const char *outputs)
{
    char json[1024];
    struct spec_fault why;
    msgpack_object args;

    (void)snprintf(json, sizeof json, "{'source': {'path': 'x'}, 'outputs': [%s]}", outputs);
    json_pack(json, &w->args);
    assert_true(msgpack_zone_init(&w->zone, 4096));
    assert_int_equal(mp_parse(buf_slice(&w->args), &(const struct mp_limits)MP_LIMITS_DEFAULT,
                              &w->zone, &args, NULL),
                     ERR_OK);
    if (spec_image_parse(&args, "/args", &w->spec, &why) != ERR_OK)
        fail_msg("%s: %s: %s", outputs, why.pointer, why.text);
}

static uint64_t predict(struct world *w, const char *outputs, struct cost_source s)
{
    struct plan_source source = {.displayed = s.stored,
                                 .format = s.format,
                                 .frames = s.frames == 0 ? 1 : s.frames,
                                 .output_pixels = UINT64_MAX};
    struct fault why;
    uint64_t us;

    s.shrink = s.shrink == 0 ? 1 : s.shrink;
    s.scale = s.scale == 0 ? 1 : s.scale;
    s.frames = source.frames;
    parse(w, outputs);
    if (plan_make(&w->spec, &source, &w->plan, &why) != ERR_OK)
        fail_msg("%s", why.text);
    us = cost_predict(&w->spec, &w->plan, &s);
    msgpack_zone_destroy(&w->zone);
    buf_done(&w->args);
    return us;
}

#define JPEG(...) \
    ((struct cost_source){.format = IMAGE_JPEG, .stored = {2725, 2225}, __VA_ARGS__})
#define THUMB "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'jpeg'}"

/* By hand: 1 ms; 2.8 ns for each of 6,063,125 pixels; a resize from 1363 x 1113 to 720 x 588; 6 ns to
 * encode a pixel. */
static void a_thumbnail_is_the_sum_of_its_parts(void **state)
{
    uint64_t us = predict(*state, THUMB, JPEG(.shrink = 2));
    double parts =
        1e3 + 2.8e-3 * 2725 * 2225 + 2.6e-3 * 1363 * 1113 + 3e-3 * 720 * 588 + 6e-3 * 720 * 588;

    assert_in_range(us, (uint64_t)parts - 2, (uint64_t)parts + 2);
}

/* Each is dearer than the one before. */
static void what_is_known_to_be_dearer_is(void **state)
{
    static const char *const rising[] = {
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'jpeg'}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'webp'}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'jpeg', 'optimise': "
        "true}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}, {'sharpen': {}}], 'format': 'jpeg',"
        " 'optimise': true}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'avif'}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'auto'}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'avif', 'max_bytes': "
        "9000}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'avif', 'effort': 4}",
        "{'name': 'a', 'ops': [{'resize': {'width': 720}}], 'format': 'png', 'palette': true}",
        "{'name': 'a', 'format': 'avif', 'effort': 4}",
    };
    uint64_t last = 0;

    for (size_t i = 0; i < COUNT_OF(rising); i++) {
        uint64_t us = predict(*state, rising[i], JPEG(.shrink = 2));

        if (us <= last)
            fail_msg("%s: %llu after %llu", rising[i], (unsigned long long)us,
                     (unsigned long long)last);
        last = us;
    }
}

static void sources_cost_by_format_size_and_frames(void **state)
{
    const struct cost_source rising[] = {
        JPEG(.shrink = 8),
        JPEG(.shrink = 2),
        JPEG(.shrink = 1),
        JPEG(.shrink = 1, .interlaced = true),
        {.format = IMAGE_PNG, .stored = {2725, 2225}},
        {.format = IMAGE_AVIF, .stored = {2725, 2225}},
        {.format = IMAGE_AVIF, .stored = {9000, 9000}},
    };
    uint64_t last = 0;

    for (size_t i = 0; i < COUNT_OF(rising); i++) {
        uint64_t us = predict(*state, THUMB, rising[i]);

        if (us <= last)
            fail_msg("source %zu: %llu after %llu", i, (unsigned long long)us,
                     (unsigned long long)last);
        last = us;
    }
}

static void frames_count_as_often_as_they_are_made(void **state)
{
    const char *out = "{'name': 'a', 'ops': [{'resize': {'width': 240}}], 'format': 'gif'}";
    uint64_t one =
        predict(*state, out, (struct cost_source){.format = IMAGE_GIF, .stored = {480, 360}});
    uint64_t all =
        predict(*state, out,
                (struct cost_source){.format = IMAGE_GIF, .stored = {480, 360}, .frames = 12});

    assert_in_range(all, 12 * one - 12 * 1000, 12 * one);
}

/* The largest that the limits let through must not wrap. */
static void nothing_is_too_large_to_be_told(void **state)
{
    uint64_t us =
        predict(*state, "{'name': 'a', 'ops': [{'trim': {}}], 'format': 'gif', 'effort': 10}",
                (struct cost_source){.format = IMAGE_TIFF, .stored = {65535, 65535}});

    assert_true(us > 60ull * 1000 * 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thumbnail_is_the_sum_of_its_parts),
        TEST(what_is_known_to_be_dearer_is),
        TEST(sources_cost_by_format_size_and_frames),
        TEST(frames_count_as_often_as_they_are_made),
        TEST(nothing_is_too_large_to_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
