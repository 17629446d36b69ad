#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/redis_url.h"
#include "shared/slice.h"

static void same(const char *what, const char *got, const char *want)
{
    if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
        fail_msg("%s: got %s, want %s", what, got == NULL ? "(none)" : got,
                 want == NULL ? "(none)" : want);
}

static void good_urls_give_their_parts(void **state)
{
    static const struct {
        const char *url, *host, *path, *user, *password, *where;
        unsigned port, db;
    } table[] = {
        {"redis://h", "h", NULL, NULL, NULL, "redis://h:6379/0", 6379, 0},
        {"redis://h/", "h", NULL, NULL, NULL, "redis://h:6379/0", 6379, 0},
        {"redis://h:1/15", "h", NULL, NULL, NULL, "redis://h:1/15", 1, 15},
        {"redis://127.0.0.1:65535", "127.0.0.1", NULL, NULL, NULL, "redis://127.0.0.1:65535/0",
         65535, 0},
        {"redis://[::1]:7/3", "::1", NULL, NULL, NULL, "redis://[::1]:7/3", 7, 3},
        {"redis://[fe80::1%eth0]", "fe80::1%eth0", NULL, NULL, NULL,
         "redis://[fe80::1%eth0]:6379/0", 6379, 0},
        {"redis://:pw@h:9/1", "h", NULL, NULL, "pw", "redis://h:9/1", 9, 1},
        {"redis://me:p:w@h", "h", NULL, "me", "p:w", "redis://h:6379/0", 6379, 0},
        {"redis://me:p@w@h", "h", NULL, "me", "p@w", "redis://h:6379/0", 6379, 0},
        {"redis://a%3ab:%2f%3F%23%40%25@h", "h", NULL, "a:b", "/?#@%", "redis://h:6379/0", 6379,
         0},
        {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL,
         "unix:///run/redis.sock?db=0", 0, 0},
        {"unix:///a@b%20c?db=4", NULL, "/a@b c", NULL, NULL, "unix:///a@b c?db=4", 0, 4},
        {"unix://me:pw@/r", NULL, "/r", "me", "pw", "unix:///r?db=0", 0, 0},
        {"unix://:pw@/r?db=1", NULL, "/r", NULL, "pw", "unix:///r?db=1", 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct redis_url u;
        struct fault f = {0};

        if (redis_url_parse(table[i].url, &u, &f) != ERR_OK)
            fail_msg("%s: %s", table[i].url, f.text);
        same(table[i].url, u.host, table[i].host);
        same(table[i].url, u.path, table[i].path);
        same(table[i].url, u.user, table[i].user);
        same(table[i].url, u.password, table[i].password);
        same(table[i].url, u.where, table[i].where);
        assert_int_equal(u.port, table[i].port);
        assert_int_equal(u.db, table[i].db);
        redis_url_done(&u);
    }
}

static const struct {
    const char *url;
    enum err want;
    const char *says;
} bad[] = {
    {"", ERR_MALFORMED, "redis://"},
    {"http://h", ERR_MALFORMED, "redis://"},
    {"REDIS://h", ERR_MALFORMED, "redis://"},
    {"rediss://:s3cret@h", ERR_UNSUPPORTED,
     "TLS is not supported, use a unix socket or a tunnel"},
    {"redis://", ERR_MALFORMED, "host"},
    {"redis:///1", ERR_MALFORMED, "host"},
    {"redis://h h", ERR_MALFORMED, "host"},
    {"redis://[::1", ERR_MALFORMED, "]"},
    {"redis://[]", ERR_MALFORMED, "host"},
    {"redis://[::1]x", ERR_MALFORMED, "port"},
    {"redis://h:", ERR_MALFORMED, "port"},
    {"redis://h:0", ERR_MALFORMED, "port"},
    {"redis://h:65536", ERR_MALFORMED, "port"},
    {"redis://h:6379x", ERR_MALFORMED, "port"},
    {"redis://h:-1", ERR_MALFORMED, "port"},
    {"redis://h/x", ERR_MALFORMED, "database"},
    {"redis://h/1/2", ERR_MALFORMED, "database"},
    {"redis://h/-1", ERR_MALFORMED, "database"},
    {"redis://h/99999999", ERR_MALFORMED, "database"},
    {"redis://h?db=1", ERR_MALFORMED, "/db"},
    {"redis://h#1", ERR_MALFORMED, "/db"},
    {"redis://s3cret@h", ERR_MALFORMED, "user:password@"},
    {"redis://me:@h", ERR_MALFORMED, "empty"},
    {"redis://me:s3cret%zz@h", ERR_MALFORMED, "password"},
    {"redis://me:s3cret%4@h", ERR_MALFORMED, "password"},
    {"redis://me:s3cret%@h", ERR_MALFORMED, "password"},
    {"redis://me:s3cret%00@h", ERR_MALFORMED, "password"},
    {"redis://me:s3cret%0d%0a@h", ERR_MALFORMED, "password"},
    {"redis://m%e:s3cret@h", ERR_MALFORMED, "user"},
    {"redis://me:s3cret/x@h", ERR_MALFORMED, ""},
    {"redis://me:s3cret?x@h", ERR_MALFORMED, ""},
    {"redis://me:s3cret#x@h", ERR_MALFORMED, ""},
    {"unix://run/redis.sock", ERR_MALFORMED, "absolute"},
    {"unix://", ERR_MALFORMED, "absolute"},
    {"unix:///r%g0", ERR_MALFORMED, "path"},
    {"unix:///r?db=", ERR_MALFORMED, "?db="},
    {"unix:///r?password=s3cret", ERR_MALFORMED, "?db="},
    {"unix:///r?db=1&x=2", ERR_MALFORMED, "?db="},
    {"unix:///"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
     ERR_MALFORMED, "too long"},
};

static void bad_urls_are_refused_by_the_rule_they_break_and_never_show_a_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct redis_url u;
        struct fault f = {0};
        enum err e = redis_url_parse(bad[i].url, &u, &f);

        if (e != bad[i].want || strstr(f.text, bad[i].says) == NULL)
            fail_msg("%s: got %s \"%s\"", bad[i].url, err_name(e), f.text);
        assert_null(strstr(f.text, "s3cret"));
        redis_url_done(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_give_their_parts),
        cmocka_unit_test(bad_urls_are_refused_by_the_rule_they_break_and_never_show_a_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
