/* The table of held jobs against a plain model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/consumer_held.h"
#include "shared/rand.h"

#define IDS 300

static struct uuid id_of(unsigned n)
{
    struct uuid id = {{0}};

    id.bytes[0] = (uint8_t)(n >> 8); /* far from the bytes that choose the bucket: all in one */
    id.bytes[1] = (uint8_t)n;
    return id;
}

struct model {
    struct held_job *job[IDS];
    unsigned line[IDS], news[IDS]; /* numbers, in order */
    size_t n, n_line, n_news;
};

static size_t take_out(unsigned *list, size_t n, unsigned number)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (list[i] != number)
            list[kept++] = list[i];
    }
    return kept;
}

static unsigned number_of(const struct held_job *job)
{
    return (unsigned)job->id.bytes[0] << 8 | job->id.bytes[1];
}

static void add_or_remove(struct held *h, struct model *m, unsigned n)
{
    struct uuid id = id_of(n);

    assert_ptr_equal(held_find(h, &id), m->job[n]);
    if (m->job[n] == NULL) {
        m->job[n] = held_add(h, &id, n + 1);
        assert_non_null(m->job[n]);
        assert_int_equal(m->job[n]->attempt, n + 1);
        m->n++;
        return;
    }
    held_remove(h, m->job[n]);
    m->job[n] = NULL;
    m->n--;
    m->n_line = take_out(m->line, m->n_line, n);
    m->n_news = take_out(m->news, m->n_news, n);
}

static void put_in_lines(struct held *h, struct model *m, unsigned n)
{
    if (m->job[n] == NULL)
        return;
    if (m->job[n]->state != HELD_IN_LINE) {
        held_line_add(h, m->job[n]);
        m->line[m->n_line++] = n;
    }
    if (!m->job[n]->has_news)
        m->news[m->n_news++] = n;
    held_news_add(h, m->job[n]);
}

static void take_from_lines(struct held *h, struct model *m)
{
    const struct held_job *first = held_line_take(h);
    const struct held_job *news = held_news_take(h);

    assert_int_equal(first != NULL, m->n_line > 0);
    assert_int_equal(news != NULL, m->n_news > 0);
    if (first != NULL) {
        assert_int_equal(number_of(first), m->line[0]);
        assert_int_equal(first->state, HELD_SENT);
        m->n_line = take_out(m->line, m->n_line, m->line[0]);
    }
    if (news != NULL) {
        assert_int_equal(number_of(news), m->news[0]);
        m->n_news = take_out(m->news, m->n_news, m->news[0]);
    }
}

static void check_ids(const struct held *h, const struct model *m)
{
    struct slice ids[IDS];
    bool seen[IDS] = {false};

    assert_int_equal(h->len, m->n);
    assert_int_equal(held_any(h) != NULL, m->n > 0);
    held_ids(h, ids);
    for (size_t i = 0; i < m->n; i++) {
        unsigned n = (unsigned)(uint8_t)ids[i].ptr[0] << 8 | (uint8_t)ids[i].ptr[1];

        assert_false(seen[n]);
        assert_non_null(m->job[n]);
        seen[n] = true;
    }
}

static void the_table_and_its_lines_agree_with_the_model(void **state)
{
    struct held h;
    struct model *m = calloc(1, sizeof *m);

    (void)state;
    assert_non_null(m);
    rand_seed(7);
    assert_int_equal(held_init(&h), ERR_OK);
    for (int step = 0; step < 20000; step++) {
        unsigned n = (unsigned)rand_below(IDS);

        switch (rand_below(4)) {
        case 0:
        case 1:
            add_or_remove(&h, m, n);
            break;
        case 2:
            put_in_lines(&h, m, n);
            break;
        default:
            take_from_lines(&h, m);
            break;
        }
        if (step % 100 == 0)
            check_ids(&h, m);
    }
    held_done(&h);
    free(m);
    rand_seed(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_and_its_lines_agree_with_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
