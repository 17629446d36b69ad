#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "worker/render/child/plan.h"

enum {
    IN = IMAGE_FIT_INSIDE,
    CV = IMAGE_FIT_COVER,
    CT = IMAGE_FIT_CONTAIN,
    FL = IMAGE_FIT_FILL
};

static const struct {
    uint32_t sw, sh, bw, bh;
    int fit;
    bool enlarge;
    uint32_t scaled_w, scaled_h, out_w, out_h;
    enum plan_then then;
} resizes[] = {
    /* inside */
    {2725, 2225, 720, 0, IN, false, 720, 588, 720, 588, PLAN_PLAIN},
    {2725, 2225, 0, 588, IN, false, 720, 588, 720, 588, PLAN_PLAIN},
    {400, 300, 200, 200, IN, false, 200, 150, 200, 150, PLAN_PLAIN},
    {300, 400, 200, 200, IN, false, 150, 200, 150, 200, PLAN_PLAIN},
    {400, 300, 800, 800, IN, false, 400, 300, 400, 300, PLAN_PLAIN},
    {400, 300, 800, 800, IN, true, 800, 600, 800, 600, PLAN_PLAIN},
    {400, 300, 400, 300, IN, false, 400, 300, 400, 300, PLAN_PLAIN},
    {10000, 1, 100, 100, IN, false, 100, 1, 100, 1, PLAN_PLAIN},
    {1, 10000, 100, 100, IN, false, 1, 100, 1, 100, PLAN_PLAIN},
    {3, 2, 1, 0, IN, false, 1, 1, 1, 1, PLAN_PLAIN},
    {1, 1, 0, 16384, IN, true, 16384, 16384, 16384, 16384, PLAN_PLAIN},
    {999, 999, 333, 333, IN, false, 333, 333, 333, 333, PLAN_PLAIN},
    /* one side free: any fit keeps the shape */
    {400, 300, 200, 0, CV, false, 200, 150, 200, 150, PLAN_PLAIN},
    {400, 300, 0, 150, CT, false, 200, 150, 200, 150, PLAN_PLAIN},
    {400, 300, 200, 0, FL, false, 200, 150, 200, 150, PLAN_PLAIN},
    {400, 300, 800, 0, FL, true, 800, 600, 800, 600, PLAN_PLAIN},
    /* cover */
    {400, 300, 200, 200, CV, false, 267, 200, 200, 200, PLAN_CROP},
    {300, 400, 200, 200, CV, false, 200, 267, 200, 200, PLAN_CROP},
    {400, 300, 200, 150, CV, false, 200, 150, 200, 150, PLAN_PLAIN},
    {400, 100, 200, 200, CV, false, 400, 100, 100, 100, PLAN_CROP},
    {400, 100, 200, 200, CV, true, 800, 200, 200, 200, PLAN_CROP},
    {100, 100, 200, 200, CV, false, 100, 100, 100, 100, PLAN_PLAIN},
    {100, 100, 200, 100, CV, false, 100, 100, 100, 50, PLAN_CROP},
    {100, 100, 200, 100, CV, true, 200, 200, 200, 100, PLAN_CROP},
    {10000, 1, 100, 100, CV, false, 10000, 1, 1, 1, PLAN_CROP},
    {201, 201, 200, 200, CV, false, 200, 200, 200, 200, PLAN_PLAIN},
    {640, 480, 640, 360, CV, false, 640, 480, 640, 360, PLAN_CROP},
    /* contain */
    {400, 300, 200, 200, CT, false, 200, 150, 200, 200, PLAN_PAD},
    {400, 300, 200, 150, CT, false, 200, 150, 200, 150, PLAN_PLAIN},
    {40, 30, 200, 200, CT, false, 40, 30, 200, 200, PLAN_PAD},
    {40, 30, 200, 200, CT, true, 200, 150, 200, 200, PLAN_PAD},
    /* fill */
    {400, 300, 200, 200, FL, false, 200, 200, 200, 200, PLAN_PLAIN},
    {400, 100, 200, 200, FL, false, 200, 100, 200, 100, PLAN_PLAIN},
    {400, 100, 200, 200, FL, true, 200, 200, 200, 200, PLAN_PLAIN},
    {40, 30, 200, 200, FL, false, 40, 30, 40, 30, PLAN_PLAIN},
};

static struct image_op resize_op(uint32_t w, uint32_t h, int fit, bool enlarge)
{
    struct image_op op = {.kind = IMAGE_OP_RESIZE};

    op.u.resize.width = w;
    op.u.resize.height = h;
    op.u.resize.fit = (enum image_fit)fit;
    op.u.resize.enlarge = enlarge;
    return op;
}

static void each_fit_gives_the_sizes_it_promises(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(resizes); i++) {
        struct image_op op =
            resize_op(resizes[i].bw, resizes[i].bh, resizes[i].fit, resizes[i].enlarge);
        struct plan_resize r;

        plan_resize((struct plan_size){resizes[i].sw, resizes[i].sh}, &op, &r);
        if (r.scaled.width != resizes[i].scaled_w || r.scaled.height != resizes[i].scaled_h ||
            r.out.width != resizes[i].out_w || r.out.height != resizes[i].out_h ||
            r.then != resizes[i].then)
            fail_msg("row %zu: scaled %u x %u, out %u x %u, then %d", i, r.scaled.width,
                     r.scaled.height, r.out.width, r.out.height, (int)r.then);
    }
}

/* For any source and box: the invariants that the rest of the renderer builds on. */
static void no_side_is_ever_zero_and_a_cut_always_fits(void **state)
{
    static const uint32_t sides[] = {1, 2, 3, 7, 99, 100, 101, 640, 2225, 16384};
    (void)state;
    for (size_t n = 0; n < 10000 * 8; n++) {
        size_t k = n / 8;
        struct plan_size src = {sides[k % 10], sides[k / 10 % 10]};
        struct image_op op =
            resize_op(sides[k / 100 % 10], sides[k / 1000], (int)(n % 4), n / 4 % 2 == 1);
        struct plan_resize r;

        plan_resize(src, &op, &r);
        assert_true(r.scaled.width > 0 && r.scaled.height > 0 && r.out.width > 0 &&
                    r.out.height > 0);
        assert_true(r.out.width <= op.u.resize.width && r.out.height <= op.u.resize.height);
        if (r.then == PLAN_CROP)
            assert_true(r.out.width <= r.scaled.width && r.out.height <= r.scaled.height);
        if (r.then == PLAN_PAD)
            assert_true(r.out.width >= r.scaled.width && r.out.height >= r.scaled.height);
        if (r.then == PLAN_PLAIN)
            assert_memory_equal(&r.out, &r.scaled, sizeof r.out);
        if (!op.u.resize.enlarge)
            assert_true(r.scaled.width <= src.width && r.scaled.height <= src.height);
    }
}

static const struct {
    enum image_gravity g;
    uint32_t x, y;
} places[] = {
    {IMAGE_CENTER, 5, 2},    {IMAGE_NORTH, 5, 0},      {IMAGE_SOUTH, 5, 5},
    {IMAGE_EAST, 11, 2},     {IMAGE_WEST, 0, 2},       {IMAGE_NORTHEAST, 11, 0},
    {IMAGE_NORTHWEST, 0, 0}, {IMAGE_SOUTHEAST, 11, 5}, {IMAGE_SOUTHWEST, 0, 5},
    {IMAGE_ATTENTION, 5, 2}, {IMAGE_ENTROPY, 5, 2},
};

static void gravity_says_where_the_inner_rectangle_lies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct plan_point at =
            plan_place((struct plan_size){21, 15}, (struct plan_size){10, 10},
                       &(struct image_anchor){.at = places[i].g});

        assert_int_equal(at.x, places[i].x);
        assert_int_equal(at.y, places[i].y);
    }
}

static const struct {
    uint32_t src, to;
    unsigned shrink;
} shrinks[] = {
    {1000, 1000, 1}, {1000, 501, 1}, {1000, 500, 1}, {1000, 334, 1}, {1000, 333, 2},
    {2725, 720, 2},  {1000, 251, 2}, {1000, 250, 2}, {1000, 201, 2}, {1000, 200, 4},
    {1000, 125, 4},  {1000, 112, 4}, {1000, 111, 8}, {1000, 10, 8},  {1000, 2000, 1},
};

static void the_decoder_shrinks_as_far_as_the_target_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shrinks); i++) {
        struct plan_size src = {shrinks[i].src, shrinks[i].src};
        struct plan_size to = {shrinks[i].to, shrinks[i].to};

        if (plan_shrink(src, to) != shrinks[i].shrink)
            fail_msg("%u to %u: shrink %u", shrinks[i].src, shrinks[i].to,
                     plan_shrink(src, to));
        /* The narrower ratio decides. */
        to.height = src.height;
        assert_int_equal(plan_shrink(src, to), 1);
    }
}

/* A decoder rounds to whole pixels: both sides must come out as the plan has them. */
static void a_scale_meets_both_sides_however_it_rounds(void **state)
{
    (void)state;
    for (uint32_t w = 1; w <= 2725; w += 3) {
        struct plan_size src = {2725, 2225};
        struct plan_size to = {w, (uint32_t)round(2225.0 * w / 2725)};
        double k;

        if (to.height == 0)
            continue;
        k = plan_scale(src, to);
        assert_int_equal(round(src.width * k), to.width);
        assert_int_equal(round(src.height * k), to.height);
        assert_true(k <= 1);
    }
}

static void a_scale_of_another_shape_leaves_enough(void **state)
{
    (void)state;
    assert_float_equal(plan_scale((struct plan_size){1000, 1000}, (struct plan_size){100, 400}),
                       0.4, 1e-9);
    assert_float_equal(plan_scale((struct plan_size){1000, 10}, (struct plan_size){500, 1}),
                       0.5, 1e-9);
    assert_float_equal(plan_scale((struct plan_size){100, 100}, (struct plan_size){300, 300}),
                       1, 1e-9);
}

/* --- whole orders
 * ------------------------------------------------------------------------------ */

struct rig {
    struct spec_image spec;
    struct plan plan;
    struct fault why;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void add_output(struct rig *r, uint32_t w, uint32_t h, int fit)
{
    struct image_output *o = &r->spec.outputs[r->spec.n_outputs];

    (void)snprintf(o->name, sizeof o->name, "o%zu", r->spec.n_outputs++);
    o->format = IMAGE_JPEG;
    o->has_format = true;
    if (w != 0 || h != 0)
        o->ops[o->n_ops++] = resize_op(w, h, fit, false);
}

static enum err make(struct rig *r, uint32_t w, uint32_t h, uint64_t max)
{
    return plan_make(
        &r->spec,
        &(struct plan_source){
            .displayed = {w, h}, .format = IMAGE_JPEG, .frames = 1, .output_pixels = max},
        &r->plan, &r->why);
}

struct link {
    size_t index;
    int from;
    bool kept;
};

static void check_links(const struct plan *p, const struct link *want, size_t n)
{
    assert_int_equal(p->n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p->outputs[i].index, want[i].index);
        assert_int_equal(p->outputs[i].from, want[i].from);
        assert_int_equal(p->outputs[i].kept, want[i].kept);
    }
}

static void add_five_widths(struct rig *r)
{
    static const uint32_t widths[] = {200, 1200, 800, 1600, 400}; /* in any order */

    for (size_t i = 0; i < COUNT_OF(widths); i++)
        add_output(r, widths[i], 0, IN);
}

static void five_widths_make_a_pyramid(void **state)
{
    static const struct link want[] = {
        {3, PLAN_BASE, true}, {1, 0, true}, {2, 1, true}, {4, 2, true}, {0, 3, false}};
    struct rig *r = *state;

    add_five_widths(r);
    assert_int_equal(make(r, 6000, 4000, 1000000000), ERR_OK);
    check_links(&r->plan, want, COUNT_OF(want));
    assert_false(r->plan.keep_base);
    assert_int_equal(r->plan.least.width, 1600);
    assert_int_equal(r->plan.least.height, 1067);
}

static void high_fidelity_takes_pictures_twice_as_large(void **state)
{
    static const struct link want[] = {
        {3, PLAN_BASE, true}, {1, PLAN_BASE, false}, {2, 0, true}, {4, 2, true}, {0, 3, false}};
    struct rig *r = *state;

    r->spec.high_fidelity = true;
    add_five_widths(r);
    assert_int_equal(make(r, 6000, 4000, 1000000000), ERR_OK);
    check_links(&r->plan, want, COUNT_OF(want));
    assert_true(r->plan.keep_base);
    assert_int_equal(r->plan.least.width, 3200);
    assert_int_equal(r->plan.least.height, 2134);
}

/* 1000 from 1199 would be a resize that smears and saves nothing. */
static void sizes_close_to_each_other_come_from_the_base(void **state)
{
    static const struct link want[] = {{1, PLAN_BASE, false}, {0, PLAN_BASE, false}};
    struct rig *r = *state;

    add_output(r, 1000, 0, IN);
    add_output(r, 1180, 0, IN);
    assert_int_equal(make(r, 6000, 4000, 1000000000), ERR_OK);
    check_links(&r->plan, want, COUNT_OF(want));
    assert_true(r->plan.keep_base);
}

static void one_output_streams_from_the_decoder(void **state)
{
    struct rig *r = *state;

    add_output(r, 720, 0, IN);
    assert_int_equal(make(r, 2725, 2225, 1000000000), ERR_OK);
    assert_int_equal(r->plan.n, 1);
    assert_false(r->plan.keep_base);
    assert_false(r->plan.outputs[0].kept);
    assert_int_equal(r->plan.least.width, 720);
}

static void equal_sizes_share_one_picture(void **state)
{
    struct rig *r = *state;

    for (int i = 0; i < 3; i++)
        add_output(r, 720, 0, IN);
    assert_int_equal(make(r, 2725, 2225, 1000000000), ERR_OK);
    assert_false(r->plan.keep_base);
    assert_true(r->plan.outputs[0].kept);
    assert_int_equal(r->plan.outputs[1].from, 0);
    assert_int_equal(r->plan.outputs[1].index, 1);
    assert_int_not_equal(r->plan.outputs[2].from, PLAN_BASE);
}

static void nothing_is_made_from_what_was_enlarged(void **state)
{
    struct rig *r = *state;

    for (int i = 0; i < 2; i++) {
        add_output(r, 800, 0, IN);
        r->spec.outputs[i].ops[0].u.resize.enlarge = true;
    }
    add_output(r, 400, 0, IN);
    add_output(r, 100, 0, IN);
    assert_int_equal(make(r, 400, 300, 1000000000), ERR_OK);
    assert_int_equal(r->plan.outputs[0].from, PLAN_BASE);
    assert_int_equal(r->plan.outputs[1].from, 0); /* the same once more */
    assert_int_equal(r->plan.outputs[2].from, PLAN_BASE);
    assert_int_equal(r->plan.outputs[3].from, 2);
    assert_true(r->plan.keep_base);
}

static void an_output_without_resize_takes_the_whole_source(void **state)
{
    struct rig *r = *state;

    add_output(r, 100, 100, CV);
    add_output(r, 0, 0, IN);
    assert_int_equal(make(r, 1000, 500, 1000000000), ERR_OK);
    assert_int_equal(r->plan.least.width, 1000);
    assert_int_equal(r->plan.outputs[0].index, 1);
    assert_false(r->plan.outputs[0].has_first);
    assert_int_equal(r->plan.outputs[0].first.out.width, 1000);
    assert_int_equal(r->plan.outputs[1].from, 0);
}

static void an_output_over_the_limit_is_named(void **state)
{
    struct rig *r = *state;

    add_output(r, 100, 0, IN);
    add_output(r, 0, 0, IN);
    assert_int_equal(make(r, 1000, 500, 499999), ERR_TOO_BIG);
    assert_string_equal(r->why.text,
                        "output o1: 1000 x 500 pixels on the way, the limit is 499999 "
                        "(OUTPUT_PIXELS)");
}

static void what_a_cover_needs_on_the_way_counts(void **state)
{
    struct rig *r = *state;

    add_output(r, 16384, 16384, CV);
    r->spec.outputs[0].ops[0].u.resize.enlarge = true;
    assert_int_equal(make(r, 10000, 1, 1000000000), ERR_TOO_BIG);
    assert_non_null(strstr(r->why.text, "163840000 x 16384"));
}

static void a_later_op_may_be_the_one_that_is_too_big(void **state)
{
    struct rig *r = *state;

    add_output(r, 10, 10, CV);
    r->spec.outputs[0].ops[1] = resize_op(2000, 2000, CT, false);
    r->spec.outputs[0].n_ops = 2;
    assert_int_equal(make(r, 100, 100, 3999999), ERR_TOO_BIG);
    assert_int_equal(make(r, 100, 100, 4000000), ERR_OK);
}

static void a_side_that_the_format_cannot_hold_is_too_big(void **state)
{
    struct rig *r = *state;

    add_output(r, 0, 0, IN);
    r->spec.outputs[0].format = IMAGE_WEBP;
    assert_int_equal(make(r, 16384, 1, 1000000000), ERR_TOO_BIG);
    assert_string_equal(r->why.text,
                        "output o0: 16384 x 1 pixels, and webp ends at 16383 a side");
    assert_int_equal(make(r, 16383, 1, 1000000000), ERR_OK);
}

static void the_format_is_the_sources_unless_that_cannot_be_written(void **state)
{
    struct image_output o = {0};
    (void)state;

    assert_int_equal(plan_format(&o, IMAGE_PNG), IMAGE_PNG);
    assert_int_equal(plan_format(&o, IMAGE_HEIF), IMAGE_WEBP);
    o.has_format = true;
    o.format = IMAGE_AVIF;
    assert_int_equal(plan_format(&o, IMAGE_PNG), IMAGE_AVIF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fit_gives_the_sizes_it_promises),
        cmocka_unit_test(no_side_is_ever_zero_and_a_cut_always_fits),
        cmocka_unit_test(gravity_says_where_the_inner_rectangle_lies),
        cmocka_unit_test(the_decoder_shrinks_as_far_as_the_target_allows),
        cmocka_unit_test(a_scale_meets_both_sides_however_it_rounds),
        cmocka_unit_test(a_scale_of_another_shape_leaves_enough),
        cmocka_unit_test_setup_teardown(five_widths_make_a_pyramid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(high_fidelity_takes_pictures_twice_as_large, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sizes_close_to_each_other_come_from_the_base, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_output_streams_from_the_decoder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_sizes_share_one_picture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_made_from_what_was_enlarged, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_output_without_resize_takes_the_whole_source, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_output_over_the_limit_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_cover_needs_on_the_way_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_later_op_may_be_the_one_that_is_too_big, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_side_that_the_format_cannot_hold_is_too_big, set_up,
                                        tear_down),
        cmocka_unit_test(the_format_is_the_sources_unless_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
