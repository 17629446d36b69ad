/* Orders that take long beside orders that do not, in the real renderer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/pool_help.h"

#define SLOW_US 20000
/* Minutes; some tens of milliseconds, but slow all the same; about one millisecond. */
#define AVIF(name) "{'name': '" name "', 'format': 'avif', 'effort': 4}"
#define HOG                                                                         \
    "[" AVIF("a") "," AVIF("b") "," AVIF("c") "," AVIF("d") "," AVIF("e") "," AVIF( \
        "f") "," AVIF("g") "," AVIF("h") "]"
#define LONG                                                                          \
    "[{'name': 'a', 'ops': [{'resize': {'width': 400}}], 'format': 'png', 'palette':" \
    " true}]"

static void turn_until_slow(struct rig *r, size_t n)
{
    while (render_pool_slow(r->pool) != n)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
}

/* Files of their own: what is under way has its source by a hard link. */
static void choose_source(struct rig *r, const char *name)
{
    (void)snprintf(r->source, sizeof r->source, "%s/%s", r->dir, name);
}

static void make_sources(struct rig *r)
{
    choose_source(r, "small");
    put_png(r->source, 64, 64);
    choose_source(r, "large");
    put_png(r->source, 1600, 1200);
}

static void open_slow(struct rig *r, unsigned renderers)
{
    make_sources(r);
    rig_open(r, (struct render_pool_options){.renderers = renderers, .slow_us = SLOW_US});
}

static void cancel(struct ended *d)
{
    render_pool_cancel(d->ticket);
    wait_for(d);
    assert_int_equal(d->err, ERR_CANCELED);
}

static void quick(struct rig *r, const struct ended *hog)
{
    choose_source(r, "small");
    expect_order(r, SMALL, TIMEOUT, ERR_OK, "");
    assert_false(hog->done);
}

static void a_quick_order_does_not_wait_behind_a_slow_one(void **state)
{
    struct rig *r = *state;
    struct ended hog;

    open_slow(r, 1);
    give_order(r, &hog, HOG, TIMEOUT);
    turn_until_slow(r, 1);
    for (int i = 0; i < 3; i++)
        quick(r, &hog);
    cancel(&hog);
    assert_int_equal(render_pool_slow(r->pool), 0);
}

/* A slow order has the only renderer, and another one waits for its turn. */
static void set_one_aside(struct rig *r, struct ended *hog, struct ended *slow)
{
    open_slow(r, 1);
    give_order(r, hog, HOG, TIMEOUT);
    turn_until_slow(r, 1);
    give_order(r, slow, LONG, TIMEOUT);
    turn_until_slow(r, 2);
}

static void a_slow_order_is_set_aside_until_its_turn(void **state)
{
    struct rig *r = *state;
    struct ended hog, slow;

    set_one_aside(r, &hog, &slow);
    quick(r, &hog);
    assert_false(slow.done);
    cancel(&hog);
    wait_for(&slow);
    assert_int_equal(slow.err, ERR_OK);
    assert_true(slow.report.predicted_ms >= SLOW_US / 1000);
    assert_int_equal(slow.outputs[0].width, 400);
    drop(&slow);
    assert_int_equal(render_pool_slow(r->pool), 0);
}

static void one_that_is_set_aside_can_be_cancelled(void **state)
{
    struct rig *r = *state;
    struct ended hog, slow;

    set_one_aside(r, &hog, &slow);
    cancel(&slow);
    assert_int_equal(render_pool_slow(r->pool), 1);
    quick(r, &hog);
    cancel(&hog);
}

/* The spare renderer is not for them; but nothing is kept free as long as nobody else is there. */
static void slow_orders_may_have_all_renderers(void **state)
{
    struct rig *r = *state;
    struct ended hogs[3];

    open_slow(r, 2);
    for (size_t i = 0; i < COUNT_OF(hogs); i++)
        give_order(r, &hogs[i], HOG, TIMEOUT);
    turn_until_slow(r, 3);
    while (gauge_of(r, "busy") != 2)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    quick(r, &hogs[2]);
    for (size_t i = 0; i < COUNT_OF(hogs); i++)
        cancel(&hogs[i]);
}

/* The one who gives orders is told that there is room, and may find a quick one. */
static void whoever_orders_is_told_of_a_slow_one(void **state)
{
    struct rig *r = *state;
    struct ended hog;
    unsigned before;

    open_slow(r, 1);
    give_order(r, &hog, HOG, TIMEOUT);
    turn_until_slow(r, 1);
    before = r->idle_calls; /* it is told in the next turn */
    while (r->idle_calls == before)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    cancel(&hog);
}

static void without_a_bound_nothing_is_slow(void **state)
{
    struct rig *r = *state;
    struct ended first, second;

    make_sources(r);
    rig_open(r, (struct render_pool_options){.renderers = 1});
    give_order(r, &first, LONG, TIMEOUT);
    give_order(r, &second, SMALL, TIMEOUT);
    wait_for(&first);
    assert_false(second.done);
    assert_int_equal(render_pool_slow(r->pool), 0);
    drop(&first);
    wait_for(&second);
    drop(&second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_quick_order_does_not_wait_behind_a_slow_one),
        TEST(a_slow_order_is_set_aside_until_its_turn),
        TEST(one_that_is_set_aside_can_be_cancelled),
        TEST(slow_orders_may_have_all_renderers),
        TEST(whoever_orders_is_told_of_a_slow_one),
        TEST(without_a_bound_nothing_is_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
