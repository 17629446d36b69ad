/* Scripts: EVALSHA, and what follows NOSCRIPT. */
#include "tests/unit/test_redis_help.h"

#define NOSCRIPT "-NOSCRIPT No matching script. Please use EVAL.\r\n"

static const struct redis_script *the_script(void)
{
    static struct redis_script script = {.name = "one", .source = "return 1", .len = 8};

    redis_script_init(&script);
    return &script;
}

static enum err call(struct world *w, uint32_t deadline_ms, struct got *g)
{
    const struct slice keys[] = {SLICE_LIT("k1"), SLICE_LIT("k2")}, args[] = {SLICE_LIT("arg")};

    return redis_call(w->r,
                      &(struct redis_call){.script = the_script(),
                                           .n_keys = 2,
                                           .keys = keys,
                                           .n_args = 1,
                                           .args = args,
                                           .deadline_ms = deadline_ms},
                      on_got, g);
}

static void the_name_of_a_script_is_the_sha1_of_its_source(void **state)
{
    static const struct {
        const char *source, *sha1;
    } table[] = {
        {"return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"},
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct redis_script s = {.source = table[i].source, .len = strlen(table[i].source)};

        redis_script_init(&s);
        assert_string_equal(s.sha1, table[i].sha1);
    }
}

/* A peer that knows scripts. */
struct memory {
    const char *load; /* says to SCRIPT LOAD; NULL: learns, and gives the name */
    bool knows, forgets;
    unsigned ran;
};

static const char *answer_scripts(struct peer_conn *c, const redisReply *command)
{
    static char line[64];
    struct memory *m = c->peer->arg;
    const char *word = command->element[0]->str;

    if (peer_is_greeting(word))
        return peer_greeting(command);
    if (strcmp(word, "SCRIPT") == 0) {
        assert_string_equal(command->element[2]->str, "return 1");
        m->knows = m->load == NULL && !m->forgets;
        return m->load != NULL ? m->load : "$2\r\nhi\r\n";
    }
    if (strcmp(word, "EVALSHA") != 0)
        return "+OK\r\n";
    assert_int_equal(command->elements, 6);
    assert_string_equal(command->element[1]->str, the_script()->sha1);
    assert_string_equal(command->element[2]->str, "2");
    assert_string_equal(command->element[4]->str, "k2");
    assert_string_equal(command->element[5]->str, "arg");
    if (!m->knows)
        return NOSCRIPT;
    (void)snprintf(line, sizeof line, ":%u\r\n", ++m->ran);
    return line;
}

static void begin(struct world *w, struct peer *p, struct memory *m)
{
    world_init(w);
    peer_listen(p, w, answer_scripts, m);
    world_up(w, (struct redis_options){0});
}

static void end(struct world *w, struct peer *p)
{
    assert_int_equal(redis_pending(w->r), 0);
    peer_stop(p);
    world_done(w);
}

static void an_unknown_script_is_loaded_once_for_all_calls_in_flight(void **state)
{
    struct world w;
    struct peer p = {0};
    struct memory m = {0};
    struct got g[3] = {{0}};

    (void)state;
    begin(&w, &p, &m);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call(&w, 0, &g[i]), ERR_OK);
    for (int i = 0; i < 3; i++) {
        turn_until_count(&w, &g[i].calls, 1);
        assert_int_equal(g[i].err, ERR_OK);
        assert_int_equal(g[i].integer, i + 1);
    }
    assert_string_equal(p.log,
                        "1:PING 1:EVALSHA 1:EVALSHA 1:EVALSHA 1:SCRIPT 1:EVALSHA 1:EVALSHA "
                        "1:EVALSHA ");
    end(&w, &p);
}

static void a_known_script_needs_no_load_and_no_second_call(void **state)
{
    struct world w;
    struct peer p = {0};
    struct memory m = {.knows = true};
    struct got g = {0};

    (void)state;
    begin(&w, &p, &m);
    assert_int_equal(call(&w, 0, &g), ERR_OK);
    turn_until_count(&w, &g.calls, 1);
    assert_int_equal(g.integer, 1);
    assert_string_equal(p.log, "1:PING 1:EVALSHA ");
    end(&w, &p);
}

static void a_call_is_repeated_once_only(void **state)
{
    struct world w;
    struct peer p = {0};
    struct memory m = {.forgets = true};
    struct got g = {0};

    (void)state;
    begin(&w, &p, &m);
    assert_int_equal(call(&w, 0, &g), ERR_OK);
    turn_until_count(&w, &g.calls, 1);
    assert_int_equal(g.err, ERR_REJECTED);
    assert_non_null(strstr(g.text, "NOSCRIPT"));
    assert_string_equal(p.log, "1:PING 1:EVALSHA 1:SCRIPT 1:EVALSHA ");
    end(&w, &p);
}

static void a_load_that_is_refused_gives_its_reason_to_the_call(void **state)
{
    static const struct {
        const char *load, *text;
        enum err want;
    } table[] = {
        {"-ERR Error compiling script\r\n", "ERR Error compiling script", ERR_REJECTED},
        {"-NOPERM no\r\n", "NOPERM no", ERR_REJECTED},
        {"-OOM used up\r\n", "OOM used up", ERR_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct world w;
        struct peer p = {0};
        struct memory m = {.load = table[i].load};
        struct got g = {0};

        begin(&w, &p, &m);
        assert_int_equal(call(&w, 0, &g), ERR_OK);
        turn_until_count(&w, &g.calls, 1);
        assert_int_equal(g.err, table[i].want);
        assert_string_equal(g.text, table[i].text);
        assert_int_equal(w.ups, 1);
        end(&w, &p);
    }
}

static void a_link_lost_between_load_and_repeat_ends_the_call_once(void **state)
{
    static const char *const loads[] = {PEER_CLOSE, "-LOADING x\r\n", "?\r\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        struct world w;
        struct peer p = {0};
        struct memory m = {.load = loads[i]};
        struct got g[2] = {{0}};

        begin(&w, &p, &m);
        assert_int_equal(call(&w, 0, &g[0]), ERR_OK);
        assert_int_equal(call(&w, 0, &g[1]), ERR_OK);
        turn_until_count(&w, &w.ups, 2);
        assert_int_equal(g[0].calls + g[1].calls, 2);
        assert_int_equal(g[0].err, ERR_UNREACHABLE);
        assert_int_equal(g[1].err, ERR_UNREACHABLE);
        m.load = NULL; /* the next connection starts afresh */
        g[0] = (struct got){0};
        assert_int_equal(call(&w, 0, &g[0]), ERR_OK);
        turn_until_count(&w, &g[0].calls, 1);
        assert_int_equal(g[0].err, ERR_OK);
        end(&w, &p);
    }
}

static void a_load_without_answer_times_the_call_out(void **state)
{
    struct world w;
    struct peer p = {0};
    struct memory m = {.load = PEER_SILENT};
    struct got g = {0};

    (void)state;
    begin(&w, &p, &m);
    p.answer = answer_scripts;
    m.load = "";
    assert_int_equal(call(&w, 30, &g), ERR_OK);
    turn_until_count(&w, &g.calls, 1);
    assert_int_equal(g.err, ERR_TIMEOUT);
    turn_until_count(&w, &w.ups, 2);
    end(&w, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_a_script_is_the_sha1_of_its_source),
        cmocka_unit_test(an_unknown_script_is_loaded_once_for_all_calls_in_flight),
        cmocka_unit_test(a_known_script_needs_no_load_and_no_second_call),
        cmocka_unit_test(a_call_is_repeated_once_only),
        cmocka_unit_test(a_load_that_is_refused_gives_its_reason_to_the_call),
        cmocka_unit_test(a_link_lost_between_load_and_repeat_ends_the_call_once),
        cmocka_unit_test(a_load_without_answer_times_the_call_out),
    };

    (void)alarm(120);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
