/* Files that are held stay young. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uv.h>

#include "tests/unit/blob_rig.h"
#include "worker/blob_keep.h"

#define OLD (GRACE_S + 10)

struct rig {
    uv_loop_t loop;
    blob_dir dir;
    struct blob_keep *keep;
    unsigned asked, names;
    bool closed;
};

static void on_ask(void *arg, struct blob_keep *k)
{
    struct rig *r = arg;
    char name[80];

    for (unsigned i = 0; i < r->names; i++)
        blob_keep_add(k, blob_name(i, name));
    r->asked++;
}

static void on_closed(void *arg)
{
    ((struct rig *)arg)->closed = true;
}

static void open_rig(struct rig *r, unsigned names)
{
    *r = (struct rig){.names = names};
    servers_dir_make(r->dir);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    for (unsigned i = 0; i < 3; i++)
        blob_put_number(r->dir, i, OLD);
    assert_int_equal(blob_keep_new(&r->loop,
                                   &(struct blob_keep_options){
                                       .dir = r->dir, .every_ms = 1, .ask = on_ask, .arg = r},
                                   &r->keep, NULL),
                     ERR_OK);
}

static void close_rig(struct rig *r)
{
    blob_keep_close(&r->keep, on_closed, r);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_true(r->closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    servers_dir_remove(r->dir);
}

static bool is_young(const struct rig *r, unsigned number)
{
    char name[80];

    return blob_is_young(r->dir, blob_name(number, name));
}

static void what_is_held_is_young_again_and_again(void **state)
{
    struct rig r;
    char name[80];

    (void)state;
    open_rig(&r, 2);
    for (int i = 0; i < 2; i++) {
        while (!is_young(&r, 0) || !is_young(&r, 1))
            (void)uv_run(&r.loop, UV_RUN_ONCE);
        blob_set_age(r.dir, blob_name(0, name), OLD);
    }
    assert_false(is_young(&r, 2));
    close_rig(&r);
}

static void what_is_gone_keeps_nobody_up(void **state)
{
    struct rig r;
    char name[80], path[PATH_MAX];

    (void)state;
    open_rig(&r, 2);
    assert_int_equal(unlink(blob_path(r.dir, blob_name(0, name), path)), 0);
    while (!is_young(&r, 1))
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    assert_false(blob_is_there(r.dir, blob_name(0, name)));
    close_rig(&r);
}

static void it_closes_while_a_thread_is_at_it(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r, 3);
    while (r.asked == 0)
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    close_rig(&r);
}

static void with_nothing_held_nothing_is_done(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r, 0);
    while (r.asked < 3)
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    close_rig(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_is_young_again_and_again),
        cmocka_unit_test(what_is_gone_keeps_nobody_up),
        cmocka_unit_test(it_closes_while_a_thread_is_at_it),
        cmocka_unit_test(with_nothing_held_nothing_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
