#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/lane.h"

static void queues_are_read_from_one_line(void **state)
{
    struct lane lanes[LANES_MAX];
    struct fault why;
    size_t n = 0;

    (void)state;
    assert_int_equal(lanes_parse("default,image=4,notify=10000", 256, lanes, &n, &why), ERR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(lanes[0].queue, "default");
    assert_int_equal(lanes[0].slots, 256);
    assert_false(lanes[0].pixels);
    assert_string_equal(lanes[1].queue, "image");
    assert_int_equal(lanes[1].slots, 4);
    assert_true(lanes[1].pixels);
    assert_string_equal(lanes[2].queue, "notify");
    assert_int_equal(lanes[2].slots, 10000);
    assert_int_equal(lanes[2].weight, 1);
    assert_int_equal(lanes_parse("critical:5,low:1000=20", 7, lanes, &n, &why), ERR_OK);
    assert_string_equal(lanes[0].queue, "critical");
    assert_int_equal(lanes[0].weight, 5);
    assert_int_equal(lanes[0].slots, 7);
    assert_string_equal(lanes[1].queue, "low");
    assert_int_equal(lanes[1].weight, 1000);
    assert_int_equal(lanes[1].slots, 20);
    assert_int_equal(lanes_parse("a.b-c_9", 7, lanes, &n, &why), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(lanes[0].slots, 7);
}

static void what_names_no_queue_is_told(void **state)
{
    static const struct {
        const char *text, *says;
    } table[] = {
        {"", "is no queue name"},
        {",", "is no queue name"},
        {"default,", "is no queue name"},
        {"default,,image", "is no queue name"},
        {"Default", "\"Default\" is no queue name"},
        {"9lives", "is no queue name"},
        {" default", "is no queue name"},
        {"=4", "is no queue name"},
        {"a=", "slots must be a number from 1 to 10000"},
        {"a=0", "0 slots are out of range, 1 to 10000"},
        {"a=10001", "10001 slots are out of range"},
        {"a=-1", "-1 slots are out of range"},
        {"a=4x", "4x slots are out of range"},
        {"a=99999999999", "slots must be a number"},
        {"a=1=2", "slots are out of range"},
        {"a:", "weights must be a number from 1 to 1000"},
        {"a:0", "0 weights are out of range, 1 to 1000"},
        {"a:1001", "1001 weights are out of range"},
        {"a:1:2", "weights are out of range"},
        {"a=4:2", "slots are out of range"},
        {":3", "is no queue name"},
        {"a,b,a", "a is named twice"},
        {"a=1,a=2", "a is named twice"},
    };
    struct lane lanes[LANES_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fault why = {.text = ""};
        size_t n = 77;

        if (lanes_parse(table[i].text, 1, lanes, &n, &why) != ERR_MALFORMED || n != 77 ||
            strncmp(why.text, "QUEUES: ", 8) != 0 || strstr(why.text, table[i].says) == NULL)
            fail_msg("\"%s\": %s", table[i].text, why.text);
    }
}

static void queues_may_be_many_but_not_too_many(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct lane lanes[LANES_MAX];
    struct fault why;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < LANES_MAX; i++)
        buf_addf(&text, "%sq%d", i > 0 ? "," : "", i);
    assert_int_equal(lanes_parse(buf_cstr(&text), 1, lanes, &n, &why), ERR_OK);
    assert_int_equal(n, LANES_MAX);
    buf_add_str(&text, ",more");
    assert_int_equal(lanes_parse(buf_cstr(&text), 1, lanes, &n, &why), ERR_TOO_BIG);
    assert_non_null(strstr(why.text, "more than 32"));
}

static void a_lane_claims_what_its_slots_and_the_renderers_leave(void **state)
{
    static const struct {
        const char *what;
        size_t slots, held;
        bool pixels, closed;
        size_t renderers, rendering, want;
    } table[] = {
        {"all free", 256, 0, false, false, 2, 0, 256},
        {"some held", 256, 250, false, false, 2, 0, 6},
        {"all held", 256, 256, false, false, 2, 0, 0},
        {"more than all", 4, 9, false, false, 2, 0, 0},
        {"closed", 256, 0, false, true, 2, 0, 0},
        {"plain jobs do not mind renderers", 256, 0, false, false, 2, 99, 256},
        {"three pictures for two renderers", 256, 0, true, false, 2, 0, 3},
        {"one is under way", 256, 1, true, false, 2, 1, 2},
        {"enough under way", 256, 3, true, false, 2, 3, 0},
        {"more than enough", 256, 9, true, false, 2, 9, 0},
        {"one renderer", 256, 0, true, false, 1, 0, 2},
        {"sixteen", 256, 0, true, false, 16, 0, 24},
        {"fewer slots than renderers", 2, 0, true, false, 16, 0, 2},
        {"another lane has them", 256, 0, true, false, 2, 3, 0},
        {"closed for pictures too", 256, 0, true, true, 2, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct lane lane = {
            .slots = table[i].slots, .held = table[i].held, .pixels = table[i].pixels};
        size_t room = lane_room(&lane, &(struct lane_load){.closed = table[i].closed,
                                                           .renderers = table[i].renderers,
                                                           .rendering = table[i].rendering});

        if (room != table[i].want)
            fail_msg("%s: %zu", table[i].what, room);
    }
}

static void slow_pictures_leave_room_for_quick_ones(void **state)
{
    static const struct {
        size_t held, slow, waiting, want;
    } table[] = {
        {2, 1, 0, 2},                   /* one of two is slow */
        {3, 3, 0, 2},                   /* all are, and two renderers could do them */
        {3, 3, 8, 3},                   /* more slow ones may wait */
        {10, 10, 8, 3}, {13, 13, 8, 0}, /* no more of them */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct lane lane = {.slots = 256, .held = table[i].held, .pixels = true};
        struct lane_load load = {.renderers = 2,
                                 .rendering = table[i].held,
                                 .slow = table[i].slow,
                                 .slow_waiting = table[i].waiting};

        assert_int_equal(lane_room(&lane, &load), table[i].want);
    }
}

static void slots_leave_the_list_in_any_order(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        struct slot slots[3] = {{.next = NULL}};
        struct lane lane = {.slots = 3};
        size_t n = 0;

        for (size_t k = 0; k < 3; k++)
            lane_add(&lane, &slots[k]);
        for (const struct slot *s = lane.list; s != NULL; s = s->next)
            n++;
        assert_int_equal(n, 3);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(lane.held, 3 - k);
            lane_remove(&lane, &slots[orders[i][k]]);
        }
        assert_int_equal(lane.held, 0);
        assert_null(lane.list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_are_read_from_one_line),
        cmocka_unit_test(what_names_no_queue_is_told),
        cmocka_unit_test(queues_may_be_many_but_not_too_many),
        cmocka_unit_test(a_lane_claims_what_its_slots_and_the_renderers_leave),
        cmocka_unit_test(slow_pictures_leave_room_for_quick_ones),
        cmocka_unit_test(slots_leave_the_list_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
