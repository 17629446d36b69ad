#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "shared/netguard.h"

static void address_of(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        v4->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    else
        fail_msg("\"%s\" is no address", text);
}

struct want {
    const char *addr, *range; /* part of the fault's text; NULL: may be reached */
};

static void check_all(const char *allow, const struct want *table, size_t n)
{
    struct netguard *g = NULL;
    struct fault why = {0};
    size_t bad = 0;

    if (netguard_new(allow, &g, &why) != ERR_OK)
        fail_msg("\"%s\": %s", allow, why.text);
    for (size_t i = 0; i < n; i++) {
        enum err want = table[i].range == NULL ? ERR_OK : ERR_FORBIDDEN;
        struct sockaddr_storage ss;
        enum err e;

        why = (struct fault){0};
        address_of(table[i].addr, &ss);
        e = netguard_check(g, (struct sockaddr *)&ss, &why);
        assert_int_equal(netguard_check(g, (struct sockaddr *)&ss, NULL), e);
        if (e == want && (e == ERR_OK || strstr(why.text, table[i].range) != NULL))
            continue;
        bad++;
        print_error("%s: %s \"%s\", should be %s %s\n", table[i].addr, err_name(e), why.text,
                    err_name(want), table[i].range == NULL ? "" : table[i].range);
    }
    netguard_free(&g);
    assert_null(g);
    assert_int_equal(bad, 0);
}

/* First and last address of each range, and those just outside. */
static const struct want ipv4[] = {
    {"0.0.0.0", "0.0.0.0/8"},
    {"0.255.255.255", "0.0.0.0/8"},
    {"1.0.0.0", NULL},
    {"1.1.1.1", NULL},
    {"8.8.8.8", NULL},
    {"9.255.255.255", NULL},
    {"10.0.0.0", "10.0.0.0/8 (private)"},
    {"10.255.255.255", "10.0.0.0/8"},
    {"11.0.0.0", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "100.64.0.0/10"},
    {"100.127.255.255", "100.64.0.0/10"},
    {"100.128.0.0", NULL},
    {"126.255.255.255", NULL},
    {"127.0.0.1", "127.0.0.0/8 (loopback)"},
    {"127.255.255.255", "127.0.0.0/8"},
    {"128.0.0.0", NULL},
    {"168.63.129.15", NULL},
    {"168.63.129.16", "168.63.129.16/32"},
    {"168.63.129.17", NULL},
    {"169.253.255.255", NULL},
    {"169.254.169.254", "169.254.0.0/16 (link-local)"},
    {"169.254.255.255", "169.254.0.0/16"},
    {"169.255.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "172.16.0.0/12"},
    {"172.31.255.255", "172.16.0.0/12"},
    {"172.32.0.0", NULL},
    {"191.255.255.255", NULL},
    {"192.0.0.0", "192.0.0.0/24"},
    {"192.0.0.255", "192.0.0.0/24"},
    {"192.0.1.0", NULL},
    {"192.0.2.0", "192.0.2.0/24"},
    {"192.0.2.255", "192.0.2.0/24"},
    {"192.0.3.0", NULL},
    {"192.31.195.255", NULL},
    {"192.31.196.1", "192.31.196.0/24"},
    {"192.31.197.0", NULL},
    {"192.52.193.1", "192.52.193.0/24"},
    {"192.88.99.1", "192.88.99.0/24"},
    {"192.88.100.0", NULL},
    {"192.167.255.255", NULL},
    {"192.168.0.0", "192.168.0.0/16"},
    {"192.168.255.255", "192.168.0.0/16"},
    {"192.169.0.0", NULL},
    {"192.175.48.1", "192.175.48.0/24"},
    {"198.17.255.255", NULL},
    {"198.18.0.0", "198.18.0.0/15"},
    {"198.19.255.255", "198.18.0.0/15"},
    {"198.20.0.0", NULL},
    {"198.51.100.7", "198.51.100.0/24"},
    {"203.0.113.255", "203.0.113.0/24"},
    {"203.0.114.0", NULL},
    {"223.255.255.255", NULL},
    {"224.0.0.1", "224.0.0.0/4 (multicast)"},
    {"239.255.255.255", "224.0.0.0/4"},
    {"240.0.0.0", "240.0.0.0/4"},
    {"255.255.255.255", "240.0.0.0/4"},
};

static void only_public_unicast_is_reached_with_ipv4(void **state)
{
    (void)state;
    check_all(NULL, ipv4, COUNT_OF(ipv4));
}

static void only_public_unicast_is_reached_with_ipv6(void **state)
{
    static const struct want table[] = {
        {"::", "::/128 (unspecified)"},
        {"::1", "::1/128 (loopback)"},
        {"::2", "::/3"},
        {"64:ff9a:ffff::", "::/3"},
        {"100::", "100::/64"},
        {"100::ffff:ffff:ffff:ffff", "100::/64"},
        {"100:0:0:1::", "100:0:0:1::/64"},
        {"1fff:ffff::", "::/3"},
        {"2000::", NULL},
        {"2001:1::1", "2001::/23"},
        {"2001:1ff:ffff::", "2001::/23"},
        {"2001:200::", NULL},
        {"2001:db7:ffff::", NULL},
        {"2001:db8::1", "2001:db8::/32 (documentation)"},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32"},
        {"2001:db9::", NULL},
        {"2001:4860:4860::8888", NULL},
        {"2003::1", NULL},
        {"2606:4700:4700::1111", NULL},
        {"2620:4f:7fff::", NULL},
        {"2620:4f:8000::1", "2620:4f:8000::/48"},
        {"2620:4f:8001::", NULL},
        {"2a00:1450:4001::1", NULL},
        {"3ffe:ffff::", NULL},
        {"3fff::", "3fff::/20"},
        {"3fff:fff:ffff::", "3fff::/20"},
        {"3fff:1000::", NULL},
        {"4000::", "4000::/2"},
        {"5f00::1", "5f00::/16"},
        {"7fff::", "4000::/2"},
        {"8000::", "8000::/1"},
        {"fbff::", "8000::/1"},
        {"fc00::", "fc00::/7 (private)"},
        {"fd12:3456:789a::1", "fc00::/7"},
        {"fe00::", "8000::/1"},
        {"fe80::1", "fe80::/10"},
        {"febf:ffff::", "fe80::/10"},
        {"fec0::1", "fec0::/10"},
        {"ff02::1", "ff00::/8"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::/8"},
    };

    (void)state;
    check_all("", table, COUNT_OF(table));
}

static void ipv6_forms_that_carry_ipv4_hide_nothing(void **state)
{
    static const struct want table[] = {
        {"::ffff:127.0.0.1", "127.0.0.0/8"},
        {"::ffff:10.1.2.3", "10.0.0.0/8"},
        {"::ffff:169.254.169.254", "169.254.0.0/16"},
        {"::ffff:0.0.0.0", "0.0.0.0/8"},
        {"::ffff:8.8.8.8", NULL},
        {"::127.0.0.1", "::/3"},
        {"::8.8.8.8", "::/3"},
        {"::ffff:0:127.0.0.1", "::/3"}, /* translated: RFC 2765 */
        {"::ffff:0:8.8.8.8", "::/3"},
        {"64:ff9b::10.0.0.1", "64:ff9b::/96"},
        {"64:ff9b::8.8.8.8", "64:ff9b::/96"},
        {"64:ff9b:1::10.0.0.1", "64:ff9b:1::/48"},
        {"2002:7f00:1::1", "2002::/16"},
        {"2002:808:808::1", "2002::/16"},
        {"2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::/23"},
    };

    (void)state;
    check_all(NULL, table, COUNT_OF(table));
}

static void an_allowed_form_still_refuses_what_it_carries(void **state)
{
    static const struct want table[] = {
        {"64:ff9b::8.8.8.8", NULL},
        {"64:ff9b::10.0.0.1", "carries 10.0.0.1, which is in 10.0.0.0/8"},
        {"64:ff9b::169.254.169.254", "carries 169.254.169.254"},
        {"64:ff9b::127.0.0.1", "carries 127.0.0.1"},
        {"64:ff9b:1::8.8.8.8", NULL},
        {"64:ff9b:1:fffe::192.168.0.1", "carries 192.168.0.1"},
        {"64:ff9b:1:808:8:800::", NULL},               /* 8.8.8.8 behind 48 bits */
        {"64:ff9b:1:a00:0:100::", "carries 10.0.0.1"}, /* 10.0.0.1 behind 48 bits */
        {"64:ff9b:1:7f00:0:100::", "carries 127.0.0.1"},
        {"2002:808:808::1", NULL},
        {"2002:7f00:1::1", "carries 127.0.0.1"},
        {"2002:a9fe:a9fe::", "carries 169.254.169.254"},
        {"2002:c0a8:101::5", "carries 192.168.1.1"},
        {"2001:0:4136:e378:8000:63bf:f7f7:f7f7", NULL}, /* 8.8.8.8 */
        {"2001:0:4136:e378:8000:63bf:80ff:fffe", "carries 127.0.0.1"},
        {"2001:0:808:808:0:0:f5ff:fffe", "carries 10.0.0.1"},
        {"::8.8.8.8", NULL},
        {"::127.0.0.1", "carries 127.0.0.1"},
        {"::1", NULL},
        {"::", NULL},
        {"::ffff:127.0.0.1", "127.0.0.0/8"},
    };

    (void)state;
    check_all("64:ff9b::/96, 64:ff9b:1::/48, 2002::/16, 2001::/32, ::/96", table,
              COUNT_OF(table));
}

static void the_allow_list_lets_its_networks_through_and_no_others(void **state)
{
    static const struct want table[] = {
        {"127.0.0.1", NULL},
        {"127.255.0.9", NULL},
        {"::ffff:127.0.0.1", NULL},
        {"10.1.255.255", NULL},
        {"10.2.0.0", "10.0.0.0/8"},
        {"10.0.255.255", "10.0.0.0/8"},
        {"::ffff:10.1.2.3", NULL},
        {"::ffff:10.2.2.3", "10.0.0.0/8"},
        {"192.168.7.9", NULL},
        {"192.168.7.8", "192.168.0.0/16"},
        {"172.16.0.1", NULL},
        {"172.17.0.1", "172.16.0.0/12"},
        {"::1", NULL},
        {"::2", "::/3"},
        {"fd00:1::5", NULL},
        {"fd00:2::5", "fc00::/7"},
        {"64:ff9b::10.1.0.1", "64:ff9b::/96"}, /* the form itself is not allowed */
        {"8.8.8.8", NULL},
    };

    (void)state;
    check_all("127.0.0.0/8,10.1.0.0/16 ,\t192.168.7.9, ::1,fd00:1::/32,::ffff:172.16.0.0/112",
              table, COUNT_OF(table));
}

static void allowing_everything_allows_everything(void **state)
{
    static const struct want table[] = {
        {"0.0.0.0", NULL},
        {"127.0.0.1", NULL},
        {"255.255.255.255", NULL},
        {"::", NULL},
        {"::1", NULL},
        {"fe80::1", NULL},
        {"::ffff:10.0.0.1", NULL},
        {"ff02::1", NULL},
        {"2002:7f00:1::1", NULL},
        {"64:ff9b::127.0.0.1", NULL},
    };

    (void)state;
    check_all("0.0.0.0/0,::/0", table, COUNT_OF(table));
}

static void only_internet_addresses_are_reached(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/redis.sock"};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct netguard *g = NULL;

    (void)state;
    assert_int_equal(netguard_new("0.0.0.0/0,::/0", &g, NULL), ERR_OK);
    assert_int_equal(netguard_check(g, (struct sockaddr *)&un, NULL), ERR_FORBIDDEN);
    assert_int_equal(netguard_check(g, &none, NULL), ERR_FORBIDDEN);
    netguard_free(&g);
    netguard_free(&g);
}

static void an_allow_list_that_is_not_understood_is_refused(void **state)
{
    static const char *const table[] = {
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8x",
        "::1/129",
        "10.0.0.0/08888",
        "10.1.0.0/8",
        "10.0.0.1/31",
        "fd00::1/8",
        "10.0.0.0/ 8",
        "10.0.0",
        "10.0.0.0/8,",
        ",10.0.0.0/8",
        "10.0.0.0/8,,1",
        "010.0.0.0/8",
        "0x7f.0.0.1",
        "1.2.3.4.5",
        "10.0.0.0/8 ::1",
        "[::1]",
        "fe80::1%lo",
        "10.0.0.0/8/8",
        "/8",
        "*",
        "a-name-that-is-far-longer-than-any-address-in-any-notation-that-there-is-0123456789",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct netguard *g = NULL;
        struct fault why = {0};

        if (netguard_new(table[i], &g, &why) != ERR_MALFORMED)
            fail_msg("\"%s\" was taken", table[i]);
        assert_null(g);
        assert_true(strlen(why.text) > 0);
    }
}

static void an_endless_allow_list_is_refused(void **state)
{
    char list[65 * 9 + 1] = "";
    struct netguard *g = NULL;

    (void)state;
    for (size_t i = 0; i < 65; i++)
        memcpy(list + i * 9, "10.0.0.1,", 9);
    list[65 * 9 - 1] = '\0';
    assert_int_equal(netguard_new(list, &g, NULL), ERR_TOO_BIG);
    list[64 * 9 - 1] = '\0';
    assert_int_equal(netguard_new(list, &g, NULL), ERR_OK);
    netguard_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_public_unicast_is_reached_with_ipv4),
        cmocka_unit_test(only_public_unicast_is_reached_with_ipv6),
        cmocka_unit_test(ipv6_forms_that_carry_ipv4_hide_nothing),
        cmocka_unit_test(an_allowed_form_still_refuses_what_it_carries),
        cmocka_unit_test(the_allow_list_lets_its_networks_through_and_no_others),
        cmocka_unit_test(allowing_everything_allows_everything),
        cmocka_unit_test(only_internet_addresses_are_reached),
        cmocka_unit_test(an_allow_list_that_is_not_understood_is_refused),
        cmocka_unit_test(an_endless_allow_list_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
