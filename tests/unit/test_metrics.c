#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/metrics.h"
#include "shared/rand.h"

struct fixture {
    struct metrics *m;
    struct buf out;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->m = metrics_new();
    assert_non_null(f->m);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    metrics_free(&f->m);
    assert_null(f->m);
    metrics_free(&f->m);
    buf_done(&f->out);
    free(f);
    return 0;
}

/* What is printed before the lines that every process has. */
static const char *printed(struct fixture *f)
{
    char *build_info;

    buf_clear(&f->out);
    metrics_print(f->m, &f->out);
    assert_false(buf_failed(&f->out));
    build_info = strstr(f->out.data, "# HELP millrace_build_info");
    assert_non_null(build_info);
    *build_info = '\0';
    return f->out.data;
}

static void families_stay_together_in_any_order_of_creation(void **state)
{
    struct fixture *f = *state;
    struct counter *a, *b;

    a = metrics_counter(f->m, "jobs_total", "queue=\"a\"", "Jobs taken");
    gauge_set(metrics_gauge(f->m, "slots_busy", NULL, "Slots in use"), -3);
    b = metrics_counter(f->m, "jobs_total", "queue=\"b\",type=\"x\"", "another text");
    counter_add(a, 2);
    counter_add(b, UINT64_MAX);
    gauge_add(metrics_gauge(f->m, "slots_busy", "", "Slots in use"), 5);
    assert_string_equal(printed(f), "# HELP jobs_total Jobs taken\n"
                                    "# TYPE jobs_total counter\n"
                                    "jobs_total{queue=\"a\"} 2\n"
                                    "jobs_total{queue=\"b\",type=\"x\"} 18446744073709551615\n"
                                    "# HELP slots_busy Slots in use\n"
                                    "# TYPE slots_busy gauge\n"
                                    "slots_busy 2\n");
}

static void the_same_name_and_labels_are_the_same_metric(void **state)
{
    struct fixture *f = *state;

    assert_ptr_equal(metrics_counter(f->m, "a_total", "x=\"1\"", "h"),
                     metrics_counter(f->m, "a_total", "x=\"1\"", "h"));
    assert_ptr_not_equal(metrics_counter(f->m, "a_total", "x=\"1\"", "h"),
                         metrics_counter(f->m, "a_total", "x=\"2\"", "h"));
    assert_ptr_equal(metrics_histogram(f->m, "a_seconds", NULL, "h"),
                     metrics_histogram(f->m, "a_seconds", "", "h"));
}

static void help_is_escaped(void **state)
{
    struct fixture *f = *state;

    (void)metrics_gauge(f->m, "g", NULL, "back\\slash\nand \"quotes\"");
    assert_string_equal(printed(f),
                        "# HELP g back\\\\slash\\nand \"quotes\"\n# TYPE g gauge\ng 0\n");
}

static void a_histogram_is_printed_with_cumulated_buckets(void **state)
{
    static const uint64_t us[] = {0, 100, 101, 1000000, 1000001, 500000000, 500000001};
    struct fixture *f = *state;
    struct histogram *h = metrics_histogram(f->m, "run_seconds", "type=\"x\"", "How long");

    for (size_t i = 0; i < COUNT_OF(us); i++)
        histogram_add_us(h, us[i]);
    assert_string_equal(printed(f), "# HELP run_seconds How long\n"
                                    "# TYPE run_seconds histogram\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.0001\"} 2\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.0002\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.0005\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.001\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.002\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.005\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.01\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.02\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.05\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.1\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.2\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"0.5\"} 3\n"
                                    "run_seconds_bucket{type=\"x\",le=\"1\"} 4\n"
                                    "run_seconds_bucket{type=\"x\",le=\"2\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"5\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"10\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"20\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"50\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"100\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"200\"} 5\n"
                                    "run_seconds_bucket{type=\"x\",le=\"500\"} 6\n"
                                    "run_seconds_bucket{type=\"x\",le=\"+Inf\"} 7\n"
                                    "run_seconds_sum{type=\"x\"} 1002.000203\n"
                                    "run_seconds_count{type=\"x\"} 7\n");
}

static void a_histogram_without_labels_has_only_le(void **state)
{
    struct fixture *f = *state;
    const char *text;

    (void)metrics_histogram(f->m, "run_seconds", NULL, "How long");
    text = printed(f);
    assert_non_null(strstr(text, "\nrun_seconds_bucket{le=\"0.0001\"} 0\n"));
    assert_non_null(strstr(text, "\nrun_seconds_bucket{le=\"+Inf\"} 0\n"));
    assert_non_null(strstr(text, "\nrun_seconds_sum 0.000000\n"));
    assert_non_null(strstr(text, "\nrun_seconds_count 0\n"));
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void quantiles_are_within_3_2_percent(void **state)
{
    enum { N = 20000 };
    static const double qs[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct fixture *f = *state;
    struct histogram *h = metrics_histogram(f->m, "a_seconds", NULL, "h");
    uint64_t *values = calloc(N, sizeof *values);

    assert_non_null(values);
    rand_seed(11);
    for (size_t i = 0; i < N; i++) {
        values[i] = rand_below((uint64_t)1 << rand_below(41)); /* as many small as large ones */
        histogram_add_us(h, values[i]);
    }
    rand_seed(0);
    qsort(values, N, sizeof *values, by_value);
    for (size_t i = 0; i < COUNT_OF(qs); i++) {
        size_t rank = (size_t)(qs[i] * N);
        double want = (double)values[rank == 0 ? 0 : rank - 1];
        double got = (double)histogram_quantile_us(h, qs[i]);

        assert_true(got <= want * 1.032 && got >= want * 0.968);
    }
    free(values);
}

static void every_size_of_value_is_within_3_2_percent(void **state)
{
    struct fixture *f = *state;

    rand_seed(12);
    for (unsigned bits = 0; bits <= 40; bits++) {
        for (int around = -2; around <= 40; around++) {
            char labels[48];
            struct histogram *h;
            uint64_t low = (uint64_t)1 << bits, us, got;

            us = around <= 2 ? low + (uint64_t)around : low + rand_below(low);
            if (us >= (uint64_t)1 << 40)
                continue;
            (void)snprintf(labels, sizeof labels, "us=\"%u_%d\"", bits, around + 2);
            h = metrics_histogram(f->m, "a_seconds", labels, "h");
            histogram_add_us(h, us);
            got = histogram_quantile_us(h, 0.5);
            assert_true((double)got <= (double)us * 1.032 && (double)got >= (double)us * 0.968);
        }
    }
    rand_seed(0);
}

static void
an_empty_histogram_has_quantile_0_and_a_huge_value_counts_as_the_largest(void **state)
{
    struct fixture *f = *state;
    struct histogram *h = metrics_histogram(f->m, "a_seconds", NULL, "h");

    assert_int_equal(histogram_quantile_us(h, 0.5), 0);
    histogram_add_us(h, UINT64_MAX);
    assert_true(histogram_quantile_us(h, 1) > (uint64_t)1 << 39);
    assert_true(histogram_quantile_us(h, 1) <= (uint64_t)1 << 40);
}

static double value_of(const char *text, const char *name)
{
    char line[96];
    const char *at;

    (void)snprintf(line, sizeof line, "\n%s ", name);
    at = strstr(text, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void the_process_tells_about_itself(void **state)
{
    struct fixture *f = *state;
    double fds;
    int fd;

    metrics_print(f->m, &f->out);
    assert_non_null(
        strstr(f->out.data, "\nmillrace_build_info{version=\"" MILLRACE_VERSION "\"} 1\n"));
    assert_true(value_of(f->out.data, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(f->out.data, "process_start_time_seconds") > 1.6e9);
    assert_true(value_of(f->out.data, "process_cpu_seconds_total") >= 0);
    fds = value_of(f->out.data, "process_open_fds");
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    buf_clear(&f->out);
    metrics_print(f->m, &f->out);
    assert_true(value_of(f->out.data, "process_open_fds") == fds + 1);
    (void)close(fd);
}

static void no_family_is_headed_twice(void **state)
{
    struct fixture *f = *state;

    metrics_print(f->m, &f->out);
    for (const char *p = strstr(f->out.data, "# TYPE "); p != NULL;
         p = strstr(p + 1, "# TYPE ")) {
        char head[128];

        (void)snprintf(head, sizeof head, "%.*s ", (int)strcspn(p + 7, " ") + 7, p);
        assert_null(strstr(p + 1, head));
    }
}

/* In a child: must() aborts. */
static bool aborts(struct metrics *m, const char *name, const char *labels, char type)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        if (type == 'c')
            (void)metrics_counter(m, name, labels, "h");
        else if (type == 'g')
            (void)metrics_gauge(m, name, labels, "h");
        else
            (void)metrics_histogram(m, name, labels, "h");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_wrong_name_or_label_is_a_bug(void **state)
{
    static const struct {
        const char *name, *labels;
        char type;
        bool wrong;
    } rows[] = {
        {"jobs_total", "queue=\"a\"", 'c', false},
        {"jobs_total", "queue=\"a\\\"b\\\\\",type=\"\"", 'c', false},
        {"jobs", NULL, 'c', true},
        {"jobs_total", NULL, 'g', true},
        {"run", NULL, 'h', true},
        {"run_seconds", NULL, 'h', false},
        {"", NULL, 'g', true},
        {"9lives", NULL, 'g', true},
        {"Jobs", NULL, 'g', true},
        {"a-b", NULL, 'g', true},
        {"g", "queue", 'g', true},
        {"g", "queue=a", 'g', true},
        {"g", "queue=\"a", 'g', true},
        {"g", "queue=\"a\",", 'g', true},
        {"g", "queue=\"a\"b=\"c\"", 'g', true},
        {"g", "=\"a\"", 'g', true},
        {"g", "queue=\"a\nb\"", 'g', true},
        {"g", "queue=\"a\\", 'g', true},
        {"taken", NULL, 'g', false},
        {"taken_seconds", NULL, 'g', true}, /* is a histogram already */
    };
    struct fixture *f = *state;

    (void)metrics_histogram(f->m, "taken_seconds", NULL, "h");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(aborts(f->m, rows[i].name, rows[i].labels, rows[i].type),
                         rows[i].wrong);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(families_stay_together_in_any_order_of_creation),
        TEST(the_same_name_and_labels_are_the_same_metric),
        TEST(help_is_escaped),
        TEST(a_histogram_is_printed_with_cumulated_buckets),
        TEST(a_histogram_without_labels_has_only_le),
        TEST(quantiles_are_within_3_2_percent),
        TEST(every_size_of_value_is_within_3_2_percent),
        TEST(an_empty_histogram_has_quantile_0_and_a_huge_value_counts_as_the_largest),
        TEST(the_process_tells_about_itself),
        TEST(no_family_is_headed_twice),
        TEST(a_wrong_name_or_label_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
