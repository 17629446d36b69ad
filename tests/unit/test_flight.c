/* The flight recorder: what a process leaves behind, however it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/flight.h"

struct rig {
    char dir[64], path[80];
    size_t told;
    char queue[JOB_NAME_MAX + 1], text[256];
    struct uuid id;
    uint32_t attempt;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(r);
    (void)snprintf(r->dir, sizeof r->dir, "%s/millrace-flight-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof r->path, "%s/1.flight", r->dir);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    (void)unlink(r->path);
    assert_int_equal(rmdir(r->dir), 0);
    free(r);
    return 0;
}

static void on_crash(void *arg, const struct flight_crash *crash)
{
    struct rig *r = arg;

    r->told++;
    r->id = crash->id;
    r->attempt = crash->attempt;
    (void)snprintf(r->queue, sizeof r->queue, "%s", crash->queue);
    (void)snprintf(r->text, sizeof r->text, "%s", crash->text);
}

static struct flight *open_it(struct rig *r)
{
    struct fault why = {.text = ""};
    struct flight *f;

    r->told = 0;
    if (flight_open(r->path, on_crash, r, &f, &why) != ERR_OK)
        fail_msg("%s", why.text);
    return f;
}

/* Makes a memory peak that can be seen. */
static char ballast[8 << 20];

/* A worker that has ended one job, holds two, and ends by that signal; 0: as it should. */
static void live_and_end(struct rig *r, int number)
{
    const struct uuid first = {{1}}, second = {{2}}, third = {{3}};
    pid_t pid = fork();
    int status;

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        void (*old)(int) = signal(SIGSEGV, SIG_DFL); /* the test framework's */
        struct flight *f = open_it(r);
        int place = flight_begin(f, "default", &first, 1);

        (void)old;
        (void)flight_begin(f, "image", &second, 7);
        flight_end(f, place);
        (void)flight_begin(f, "default", &third, 1);
        memset(ballast, number + 1, sizeof ballast);
        flight_tick(f);
        if (number == 0)
            flight_close(&f);
        else
            (void)raise(number);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (number != 0)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == number);
}

static void the_signal_and_the_jobs_are_known_afterwards(void **state)
{
    static const struct {
        int number;
        const char *text;
    } table[] = {{SIGSEGV, "died of SIGSEGV"},
                 {SIGABRT, "died of SIGABRT"},
                 {SIGKILL, "was killed (SIGKILL, or the machine stopped)"}};
    struct rig *r = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct flight *f;

        live_and_end(r, table[i].number);
        f = open_it(r);
        assert_int_equal(r->told, 2);
        if (strstr(r->text, table[i].text) == NULL || strstr(r->text, "2 jobs held") == NULL ||
            strstr(r->text, "memory peak 0 MiB") != NULL)
            fail_msg("%s", r->text);
        assert_string_equal(r->queue, "image");
        assert_int_equal(r->attempt, 7);
        assert_int_equal(r->id.bytes[0], 2);
        flight_close(&f);
    }
}

static void who_ended_well_has_nothing_to_tell(void **state)
{
    struct rig *r = *state;
    struct flight *f;

    live_and_end(r, 0);
    f = open_it(r);
    assert_int_equal(r->told, 0);
    flight_close(&f);
    assert_null(f);
    flight_close(&f);
}

static void a_file_of_another_kind_is_begun_anew(void **state)
{
    struct rig *r = *state;
    FILE *out = fopen(r->path, "we");
    struct flight *f;

    assert_non_null(out);
    for (int i = 0; i < 100000; i++)
        assert_int_not_equal(fputc(i % 251, out), EOF);
    assert_int_equal(fclose(out), 0);
    f = open_it(r);
    assert_int_equal(r->told, 0);
    flight_close(&f);
}

static void more_jobs_than_it_has_room_for_are_not_recorded(void **state)
{
    struct rig *r = *state;
    struct flight *f = open_it(r);
    struct uuid id = {{0}};

    for (int i = 0; i < FLIGHT_JOBS_MAX; i++)
        assert_int_equal(flight_begin(f, "q", &id, 1), i);
    assert_int_equal(flight_begin(f, "q", &id, 1), -1);
    flight_end(f, -1);
    flight_end(f, 77);
    assert_int_equal(flight_begin(f, "q", &id, 1), 77);
    flight_close(&f);
}

static void a_place_that_cannot_be_written_is_told(void **state)
{
    struct fault why = {.text = ""};
    struct flight *f = NULL;

    (void)state;
    assert_int_equal(flight_open("/nowhere/at/all", on_crash, NULL, &f, &why), ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/at/all"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_ended_well_has_nothing_to_tell),
        TEST(the_signal_and_the_jobs_are_known_afterwards),
        TEST(a_file_of_another_kind_is_begun_anew),
        TEST(more_jobs_than_it_has_room_for_are_not_recorded),
        TEST(a_place_that_cannot_be_written_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
