#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/recipe_flow.h"
#include "api/recipes.h"
#include "tests/unit/ledger_rig.h"

static struct pgserver *server;

/* Some request that looks up names, one after the other. */
struct user {
    struct ledger_rig lr;
    struct api_options opt;
    struct api api;
    struct recipe_flow flow;
    const char *const *names; /* NULL-terminated */
    const char *change;       /* SQL, once the first name has been found */
    char found
        [512]; /* of the last check: a body's first 16 bytes or what find gave, each with a comma */
    enum err ended;
    unsigned checks, checked, away;
};

static const char *const words[] = {[RECIPE_HERE] = "here",
                                    [RECIPE_ELSEWHERE] = "elsewhere",
                                    [RECIPE_NONE] = "none",
                                    [RECIPE_TOO_MANY] = "too many",
                                    [RECIPE_NO_MEMORY] = "no memory"};

static void note(struct user *u, enum recipe_found found, struct slice body)
{
    size_t used = strlen(u->found);

    if (found == RECIPE_HERE) /* {"v": n} */
        (void)snprintf(u->found + used, sizeof u->found - used, "%u,",
                       (unsigned)(uint8_t)body.ptr[body.len - 1]);
    else
        (void)snprintf(u->found + used, sizeof u->found - used, "%s,", words[found]);
}

static enum err check(void *arg, struct recipe_book *book)
{
    struct user *u = arg;

    u->checks++;
    u->found[0] = '\0';
    for (size_t i = 0; u->names[i] != NULL; i++) {
        struct recipe_ref ref;
        struct slice body = {NULL, 0};
        enum recipe_found found;

        assert_true(recipe_ref_parse(slice_str(u->names[i]), &ref));
        found = book->find(book->arg, &ref, &body);
        if (found == RECIPE_ELSEWHERE) {
            book->wanted = ref;
            return ERR_NOT_FOUND;
        }
        note(u, found, body);
        if (u->change != NULL) {
            pgserver_run(server, u->change);
            u->change = NULL;
        }
    }
    return ERR_OK;
}

static void on_checked(void *arg, enum err e)
{
    struct user *u = arg;

    u->checked++;
    u->ended = e;
}

static void on_away(void *arg, enum err e)
{
    struct user *u = arg;

    u->away++;
    u->ended = e;
}

static void user_open(struct user *u, size_t max)
{
    *u = (struct user){.opt = {.bodies_max = 1000}};
    ledger_rig_open(&u->lr, pgserver_url(server), NULL);
    while (!pg_is_up(u->lr.rig.pg))
        rig_turn(&u->lr.rig);
    u->api = (struct api){.opt = &u->opt, .pg = u->lr.rig.pg, .recipes = recipes_new(0)};
    assert_non_null(u->api.recipes);
    recipe_flow_init(&u->flow, &u->api, max);
}

static void user_close(struct user *u)
{
    recipe_flow_done(&u->flow);
    assert_int_equal(u->api.bodies, 0);
    recipes_free(&u->api.recipes);
    ledger_rig_close(&u->lr);
}

static const char *ask(struct user *u, const char *const *names)
{
    static const struct recipe_user user = {check, on_checked, on_away};

    u->names = names;
    u->checks = u->checked = u->away = 0;
    recipe_flow_run(&u->flow, &user, u);
    while (u->checked + u->away == 0)
        rig_turn(&u->lr.rig);
    assert_int_equal(u->checked + u->away, 1);
    return u->found;
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The cache believes nothing here (age 0), so each recipe has to stay in the flow. */
static void one_name_means_the_same_for_the_whole_request(void **state)
{
    struct user u;

    (void)state;
    user_open(&u, 8);
    u.change = "insert into recipes (name, version, body) values ('a', 2, '{\"v\": 12}'), "
               "('new', 1, '{\"v\": 5}')";
    assert_string_equal(ask(&u, NAMES("a", "b", "a", "a@1", "new", "a")), "11,21,11,11,5,11,");
    assert_int_equal(u.ended, ERR_OK);
    assert_int_equal(u.checks, 5); /* one fetch for each, and the last */
    assert_string_equal(ask(&u, NAMES("a")), "11,");
    recipe_flow_reset(&u.flow);
    assert_string_equal(ask(&u, NAMES("a")), "12,");
    user_close(&u);
}

static void what_is_not_there_is_asked_for_once(void **state)
{
    struct user u;

    (void)state;
    user_open(&u, 8);
    assert_string_equal(ask(&u, NAMES("nobody", "b", "nobody", "b@2")), "none,21,none,none,");
    assert_int_equal(u.checks, 4);
    user_close(&u);
}

static void so_many_may_be_named_and_no_more(void **state)
{
    struct user u;

    (void)state;
    user_open(&u, 2);
    assert_string_equal(ask(&u, NAMES("b", "nobody", "a", "b", "c")),
                        "21,none,too many,21,too many,");
    recipe_flow_reset(&u.flow);
    assert_string_equal(ask(&u, NAMES("c", "b", "a")), "31,21,too many,");
    user_close(&u);
}

/* They are held like the body that names them. */
static void bodies_count_as_bodies_of_requests(void **state)
{
    struct user u;

    (void)state;
    user_open(&u, 8);
    (void)ask(&u, NAMES("b", "c"));
    assert_int_equal(u.api.bodies, 2 * 4); /* {"v": n} */
    u.api.bodies = 1000 - 3;
    (void)ask(&u, NAMES("b", "large"));
    assert_int_equal(u.away, 1);
    assert_int_equal(u.ended, ERR_NOMEM);
    u.api.bodies = 2 * 4;
    user_close(&u);
}

static void without_postgres_it_cannot_be_known(void **state)
{
    struct user u;

    (void)state;
    user_open(&u, 8);
    pgserver_stop(server);
    while (pg_is_up(u.lr.rig.pg))
        rig_turn(&u.lr.rig);
    (void)ask(&u, NAMES("b"));
    assert_int_equal(u.away, 1);
    assert_int_equal(u.ended, ERR_UNREACHABLE);
    pgserver_start(server);
    user_close(&u);
}

static int begin(void **state)
{
    (void)state;
    server = ledger_server_new();
    pgserver_run(
        server, "insert into recipes (name, version, body) values ('a', 1, '{\"v\": 11}'), "
                "('b', 1, '{\"v\": 21}'), ('c', 1, '{\"v\": 31}'), ('large', 1, '{\"v\": 1}')");
    return 0;
}

static int end(void **state)
{
    (void)state;
    pgserver_free(&server);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_means_the_same_for_the_whole_request),
        cmocka_unit_test(what_is_not_there_is_asked_for_once),
        cmocka_unit_test(so_many_may_be_named_and_no_more),
        cmocka_unit_test(bodies_count_as_bodies_of_requests),
        cmocka_unit_test(without_postgres_it_cannot_be_known),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
