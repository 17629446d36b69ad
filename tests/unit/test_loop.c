#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "shared/log.h"
#include "shared/loop.h"

enum { NEVER_MS = 3600 * 1000 };

/* What a test's loop went through, as one word after the other. */
struct story {
    struct loop *loop;
    char text[256];
    uv_timer_t keep_alive, kicker;
    const int *signals; /* to raise, one a turn, ended by 0 */
    bool stop_at_drain;
    unsigned turns;
    struct loop_later laters[3];
};

static void tell(struct story *s, const char *word)
{
    size_t len = strlen(s->text);

    (void)snprintf(s->text + len, sizeof s->text - len, "%s%s", len == 0 ? "" : " ", word);
}

static void on_never(uv_timer_t *t)
{
    (void)t;
    assert_true(false);
}

static int set_up(void **state)
{
    struct story *s = calloc(1, sizeof *s);
    struct fault why;

    assert_non_null(s);
    (void)unsetenv("NOTIFY_SOCKET");
    log_setup(NULL, LOG_OFF, LOG_FORMAT_TEXT);
    assert_int_equal(loop_new(&s->loop, &why), ERR_OK);
    (void)uv_timer_init(loop_uv(s->loop), &s->keep_alive);
    (void)uv_timer_start(&s->keep_alive, on_never, NEVER_MS, 0);
    (void)uv_timer_init(loop_uv(s->loop), &s->kicker);
    s->kicker.data = s;
    *state = s;
    return 0;
}

/* Every test ends with nothing left open. */
static int tear_down(void **state)
{
    struct story *s = *state;

    if (s->loop != NULL) {
        uv_close((uv_handle_t *)&s->keep_alive, NULL);
        uv_close((uv_handle_t *)&s->kicker, NULL);
        assert_int_equal(loop_free(&s->loop), 0);
        assert_null(s->loop);
    }
    free(s);
    return 0;
}

/* --- signals and drain --------------------------------------------------------------------- */

static void on_drain(void *arg)
{
    struct story *s = arg;

    tell(s, "drain");
    assert_true(loop_is_draining(s->loop));
    if (s->stop_at_drain)
        loop_stop(s->loop);
}

static void on_hangup(void *arg)
{
    tell(arg, "hangup");
}

/* One signal at a time: a signal raised in a timer reaches the loop before the next timer. */
static void kick(uv_timer_t *t)
{
    struct story *s = t->data;

    if (*s->signals != 0)
        assert_int_equal(raise(*s->signals++), 0);
}

static void raise_all(struct story *s, const int *signals)
{
    s->signals = signals;
    (void)uv_timer_start(&s->kicker, kick, 0, 1);
}

static void a_signal_drains_and_the_program_stops(void **state)
{
    static const int signals[] = {SIGTERM, 0};
    struct story *s = *state;

    s->stop_at_drain = true;
    loop_on_drain(s->loop, NEVER_MS, on_drain, s);
    assert_false(loop_is_draining(s->loop));
    raise_all(s, signals);
    assert_true(loop_run(s->loop));
    assert_string_equal(s->text, "drain");
}

static void sigint_drains_as_well(void **state)
{
    static const int signals[] = {SIGINT, 0};
    struct story *s = *state;

    s->stop_at_drain = true;
    loop_on_drain(s->loop, 0, on_drain, s);
    raise_all(s, signals);
    assert_true(loop_run(s->loop));
    assert_string_equal(s->text, "drain");
}

static void a_second_signal_forces_the_stop(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, 0};
    struct story *s = *state;

    loop_on_drain(s->loop, NEVER_MS, on_drain, s);
    raise_all(s, signals);
    assert_false(loop_run(s->loop));
    assert_string_equal(s->text, "drain");
}

static void a_drain_that_takes_too_long_is_forced(void **state)
{
    struct story *s = *state;

    loop_on_drain(s->loop, 1, on_drain, s);
    loop_drain(s->loop);
    assert_string_equal(s->text, ""); /* never from inside */
    loop_drain(s->loop);
    assert_false(loop_run(s->loop));
    assert_string_equal(s->text, "drain");
}

static void without_a_drain_function_a_signal_stops_at_once(void **state)
{
    static const int signals[] = {SIGTERM, 0};
    struct story *s = *state;

    raise_all(s, signals);
    assert_true(loop_run(s->loop));
    assert_true(loop_is_draining(s->loop));
}

static void a_hangup_is_handed_on_and_does_not_drain(void **state)
{
    static const int signals[] = {SIGHUP, SIGHUP, SIGTERM, SIGHUP, SIGTERM, 0};
    struct story *s = *state;

    loop_on_hangup(s->loop, on_hangup, s);
    loop_on_drain(s->loop, NEVER_MS, on_drain, s);
    raise_all(s, signals);
    assert_false(loop_run(s->loop));
    assert_non_null(strstr(s->text, "hangup"));
    assert_non_null(strstr(s->text, "drain"));
}

static void an_unhandled_hangup_drains_but_never_forces(void **state)
{
    static const int signals[] = {SIGHUP, SIGHUP, SIGHUP, 0};
    struct story *s = *state;

    loop_on_drain(s->loop, 20, on_drain, s);
    raise_all(s, signals);
    assert_false(loop_run(s->loop));
    assert_string_equal(s->text, "drain");
}

static void writing_to_a_closed_pipe_is_an_error_not_a_death(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    (void)close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    (void)close(fds[1]);
}

static void a_loop_with_nothing_to_do_ends_by_itself(void **state)
{
    struct story *s = *state;

    (void)uv_timer_stop(&s->keep_alive);
    assert_true(loop_run(s->loop));
}

/* --- later --------------------------------------------------------------------------------- */

static void on_prepare(uv_prepare_t *h)
{
    struct story *s = h->data;

    s->turns++;
}

static void stop_later(void *arg)
{
    struct story *s = arg;

    tell(s, "third");
    assert_int_equal(s->turns, 2);
    loop_stop(s->loop);
}

static void second_later(void *arg)
{
    struct story *s = arg;

    tell(s, "second");
    assert_int_equal(s->turns, 1);
}

static void first_later(void *arg)
{
    struct story *s = arg;

    tell(s, "first");
    assert_int_equal(s->turns, 1);
    loop_later(s->loop, &s->laters[2], stop_later, s); /* next turn, though nothing wakes it */
}

static void queue_laters(uv_timer_t *t)
{
    struct story *s = t->data;

    assert_int_equal(s->turns, 0);
    loop_later(s->loop, &s->laters[0], first_later, s);
    loop_later(s->loop, &s->laters[1], second_later, s);
    loop_later(s->loop, &s->laters[0], stop_later, s); /* is queued: changes nothing */
    tell(s, "queued");
}

static void later_runs_in_order_at_the_end_of_the_same_turn(void **state)
{
    struct story *s = *state;
    uv_prepare_t prepare = {.data = s};

    (void)uv_prepare_init(loop_uv(s->loop), &prepare);
    (void)uv_prepare_start(&prepare, on_prepare);
    (void)uv_timer_start(&s->kicker, queue_laters, 0, 0);
    assert_true(loop_run(s->loop));
    assert_string_equal(s->text, "queued first second third");
    uv_close((uv_handle_t *)&prepare, NULL);
    (void)uv_run(loop_uv(s->loop), UV_RUN_NOWAIT);
}

static void later_is_enough_to_keep_the_loop_alive(void **state)
{
    struct story *s = *state;

    (void)uv_timer_stop(&s->keep_alive);
    s->turns = 1;
    loop_later(s->loop, &s->laters[1], second_later, s);
    assert_true(loop_run(s->loop));
    assert_string_equal(s->text, "second");
}

/* --- the end ------------------------------------------------------------------------------- */

static void free_wrapped(uv_handle_t *h)
{
    free(h);
}

static void close_next(uv_handle_t *h)
{
    uv_close(h->data, free_wrapped);
    free(h);
}

static uv_handle_t *heap_timer(struct story *s)
{
    uv_timer_t *t = calloc(1, sizeof *t);

    assert_non_null(t);
    (void)uv_timer_init(loop_uv(s->loop), t);
    return (uv_handle_t *)t;
}

static void close_own_timers(struct story *s)
{
    uv_close((uv_handle_t *)&s->keep_alive, NULL);
    uv_close((uv_handle_t *)&s->kicker, NULL);
}

static void a_close_that_closes_more_leaves_nothing(void **state)
{
    struct story *s = *state;
    uv_handle_t *first = heap_timer(s);

    first->data = heap_timer(s);
    uv_close(first, close_next);
    close_own_timers(s);
    assert_int_equal(loop_free(&s->loop), 0);
}

static void later_still_runs_when_the_loop_is_freed(void **state)
{
    struct story *s = *state;

    s->turns = 1;
    loop_later(s->loop, &s->laters[1], second_later, s);
    close_own_timers(s);
    assert_int_equal(loop_free(&s->loop), 0);
    assert_string_equal(s->text, "second");
}

static void work(uv_work_t *req)
{
    (void)req;
}

static void after_work(uv_work_t *req, int status)
{
    assert_int_equal(status, 0);
    uv_close(req->data, free_wrapped); /* its owner waited for the pool */
    free(req);
}

static void the_end_waits_for_the_thread_pool(void **state)
{
    struct story *s = *state;
    uv_work_t *req = calloc(1, sizeof *req);

    assert_non_null(req);
    req->data = heap_timer(s);
    assert_int_equal(uv_queue_work(loop_uv(s->loop), req, work, after_work), 0);
    close_own_timers(s);
    assert_int_equal(loop_free(&s->loop), 0);
}

static char left_lines[1024];

static void keep_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)strncat(left_lines, line, len);
}

static void what_was_left_open_is_counted_and_named(void **state)
{
    struct story *s = *state;
    uv_tcp_t tcp;
    uv_handle_t *idle_timer = heap_timer(s);

    left_lines[0] = '\0';
    (void)uv_tcp_init(loop_uv(s->loop), &tcp);
    close_own_timers(s);
    log_setup(NULL, LOG_WARN, LOG_FORMAT_TEXT);
    log_capture(keep_line, NULL);
    assert_int_equal(loop_free(&s->loop), 2);
    log_capture(NULL, NULL);
    assert_non_null(strstr(left_lines, "loop.handle_left type=tcp\n"));
    assert_non_null(strstr(left_lines, "loop.handle_left type=timer\n"));
    free(idle_timer);
}

static void freeing_no_loop_is_nothing(void **state)
{
    struct loop *none = NULL;

    (void)state;
    assert_int_equal(loop_free(&none), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signal_drains_and_the_program_stops),
        TEST(sigint_drains_as_well),
        TEST(a_second_signal_forces_the_stop),
        TEST(a_drain_that_takes_too_long_is_forced),
        TEST(without_a_drain_function_a_signal_stops_at_once),
        TEST(a_hangup_is_handed_on_and_does_not_drain),
        TEST(an_unhandled_hangup_drains_but_never_forces),
        TEST(writing_to_a_closed_pipe_is_an_error_not_a_death),
        TEST(a_loop_with_nothing_to_do_ends_by_itself),
        TEST(later_runs_in_order_at_the_end_of_the_same_turn),
        TEST(later_is_enough_to_keep_the_loop_alive),
        TEST(a_close_that_closes_more_leaves_nothing),
        TEST(later_still_runs_when_the_loop_is_freed),
        TEST(the_end_waits_for_the_thread_pool),
        TEST(what_was_left_open_is_counted_and_named),
        TEST(freeing_no_loop_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
