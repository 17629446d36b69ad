#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "shared/http_url.h"

static const char *const schemes[] = {"http", "https", NULL};

static const struct {
    const char *url, *host;
    unsigned port;
    bool literal, secure;
} good[] = {
    {"http://example.com/x?y=z", "example.com", 80, false, false},
    {"HTTPS://Example.COM", "Example.COM", 443, false, true},
    {"https://example.com.:8443/", "example.com", 8443, false, true},
    {"http://[2001:db8::1]:81/", "2001:db8::1", 81, true, false},
    {"http://2130706433/", "127.0.0.1", 80, true, false},
    {"http://0x7f.1/", "127.0.0.1", 80, true, false},
    {"http://0177.0.0.1/", "127.0.0.1", 80, true, false},
    {"http://%31%32%37.0.0.1/", "127.0.0.1", 80, true, false},
    {"http://x_y.internal:00080/", "x_y.internal", 80, false, false},
    {"http://example.com/\xc3\xa9", "example.com", 80, false, false},
};

static const char *const bad[] = {
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "http:/127.0.0.1/",
    "http:///127.0.0.1/",
    "http:127.0.0.1",
    "http://",
    "http://:80/",
    "http://.",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://127.1.1.1:80\\@127.2.2.2/",
    "http://127.1.1.1:80@127.2.2.2:80/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:http/",
    "http://exa mple.com/",
    "http://example.com/a b",
    "http://example.com/\r\nHost: x",
    "http://example.com/\x7f",
    "http://ex\xc3\xa4mple.com/",
    "http://%00example.com/",
    "http://ex%2fample.com/",
    "http://[::1/",
    "http://[127.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://a,b/",
};

static void a_plain_url_gives_its_host_and_port(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct http_url u = {0};
        struct fault why = {.text = ""};

        if (http_url_parse(good[i].url, schemes, &u, &why) != ERR_OK)
            fail_msg("%s: %s", good[i].url, why.text);
        if (strcmp(u.host, good[i].host) != 0 || u.port != good[i].port ||
            u.literal != good[i].literal || u.secure != good[i].secure)
            fail_msg("%s: %s %u %d %d", good[i].url, u.host, u.port, u.literal, u.secure);
        http_url_done(&u);
    }
}

static void what_is_no_plain_url_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct http_url u = {0};
        struct fault why = {.text = ""};
        enum err e = http_url_parse(bad[i], schemes, &u, &why);

        if (e != ERR_MALFORMED)
            fail_msg("%s: %s, host %s", bad[i], err_name(e), u.host);
        assert_memory_equal(why.text, "URL: ", 5);
        assert_null(strstr(why.text, "secret"));
    }
}

static void a_url_over_the_limit_is_refused(void **state)
{
    static char text[HTTP_URL_MAX + 2] = "http://example.com/";
    struct http_url u = {0};

    (void)state;
    memset(text + strlen(text), 'a', HTTP_URL_MAX - strlen(text));
    assert_int_equal(http_url_parse(text, schemes, &u, NULL), ERR_OK);
    http_url_done(&u);
    text[HTTP_URL_MAX] = 'a';
    assert_int_equal(http_url_parse(text, schemes, &u, NULL), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_url_gives_its_host_and_port),
        cmocka_unit_test(what_is_no_plain_url_is_refused),
        cmocka_unit_test(a_url_over_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
