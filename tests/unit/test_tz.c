#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/buf.h"
#include "shared/tz.h"

#define HOUR 3600

static void names_lead_to_zones_and_nowhere_else(void **state)
{
    static const struct {
        const char *name;
        enum err want;
    } table[] = {
        {"UTC", ERR_OK},
        {"Europe/Berlin", ERR_OK},
        {"America/Argentina/Buenos_Aires", ERR_OK},
        {"America/Port-au-Prince", ERR_OK},
        {"Etc/GMT+5", ERR_OK},
        {"Europe/Atlantis", ERR_NOT_FOUND},
        {"Europe", ERR_NOT_FOUND},
        {"Europe/Berlin/Mitte", ERR_NOT_FOUND},
        {"", ERR_MALFORMED},
        {"/etc/passwd", ERR_MALFORMED},
        {"../../../etc/passwd", ERR_MALFORMED},
        {"Europe/../UTC", ERR_MALFORMED},
        {"Europe//Berlin", ERR_MALFORMED},
        {"Europe/", ERR_MALFORMED},
        {"zone.tab", ERR_MALFORMED},
        {"localtime", ERR_MALFORMED},
        {"posixrules", ERR_MALFORMED},
        {"Europe/Berlin ", ERR_MALFORMED},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         ERR_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct tz *tz = NULL;
        struct fault f = {.text = ""};
        enum err e = tz_load(slice_str(table[i].name), &tz, &f);

        if (e != table[i].want)
            fail_msg("\"%s\": %s, %s", table[i].name, err_name(e), f.text);
        assert_true((tz != NULL) == (e == ERR_OK));
        assert_true((f.text[0] != '\0') == (e != ERR_OK));
        tz_free(&tz);
    }
    assert_int_equal(tz_load(SLICE_LIT("UTC\0"), &(struct tz *){NULL}, NULL), ERR_MALFORMED);
}

/* A file with no transitions and this rule. */
static void make_file(const char *rule, struct buf *out)
{
    static const char counts[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4";

    for (int block = 0; block < 2; block++) {
        buf_add(out, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        buf_add(out, counts, 24);
        buf_add(out, "\0\0\0\0\0\0LMT\0", 10);
    }
    buf_addf(out, "\n%s\n", rule);
}

static enum err parse_rule(const char *rule, struct tz **ret)
{
    struct buf file = {0};
    enum err e;

    make_file(rule, &file);
    e = tz_parse(buf_slice(&file), ret, NULL);
    buf_done(&file);
    return e;
}

static void rules_are_read_as_posix_has_them(void **state)
{
    static const struct {
        const char *rule;
        int64_t at;
        int32_t want;
    } good[] = {
        {"UTC0", 1000, 0},
        {"<-03>3", 1000, -3 * HOUR},
        {"IST-5:30", 1000, 5 * HOUR + 1800},
        {"EST5EDT,M3.2.0,M11.1.0", 1772953199, -5 * HOUR}, /* 2026-03-08 01:59:59 */
        {"EST5EDT,M3.2.0,M11.1.0", 1772953200, -4 * HOUR},
        {"EST5EDT,M3.2.0,M11.1.0", 1793512799, -4 * HOUR}, /* 2026-11-01 01:59:59 EDT */
        {"EST5EDT,M3.2.0,M11.1.0", 1793512800, -5 * HOUR},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1767225600, 11 * HOUR}, /* January */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1782864000, 10 * HOUR + 1800},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1767225600, 0},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774745999, -2 * HOUR}, /* 2026-03-28 23:00 local */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774746000, -1 * HOUR},
        {"XXX0YYY,J60/0,J61/0", 1709251200, HOUR}, /* 2024-03-01: J60 knows no 29 February */
        {"XXX0YYY,59/0,60/0", 1709164800, HOUR},   /* 2024-02-29 is day 59 from 0 */
        {"XXX3EDT4,0/0,J365/23", 1767225600, -4 * HOUR}, /* all year */
    };
    static const char *const bad[] = {
        "X0",
        "UTC",
        "UTC25",
        "UTC0DST",
        "UTC0DST,M1.1.0",
        "UTC0DST,M13.1.0,M1.1.0",
        "UTC0DST,M1.6.0,M1.1.0",
        "UTC0DST,M1.1.7,M1.1.0",
        "UTC0DST,J0,J1",
        "UTC0DST,J366,J1",
        "UTC0DST,366,1",
        "UTC0DST,M1.1.0/168,M2.1.0",
        "UTC0DST,M1.1.0,M2.1.0,",
        "<UTC0",
        "<>",
        "UTC0x",
    };
    struct tz *tz = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int32_t got;

        assert_int_equal(parse_rule(good[i].rule, &tz), ERR_OK);
        got = tz_segment_at(tz, good[i].at).offset_s;
        if (got != good[i].want)
            fail_msg("%s at %lld: %d", good[i].rule, (long long)good[i].at, got);
        tz_free(&tz);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (parse_rule(bad[i], &tz) != ERR_MALFORMED)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void segments_join_and_cover_all_time(void **state)
{
    static const char *const zones[] = {
        "UTC",           "Europe/Berlin",       "America/New_York",
        "Asia/Kolkata",  "Australia/Lord_Howe", "Africa/Casablanca",
        "Europe/Dublin", "America/Nuuk"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(zones); i++) {
        struct tz *tz;
        int64_t at = 0;

        assert_int_equal(tz_load(slice_str(zones[i]), &tz, NULL), ERR_OK);
        while (at < INT64_C(10000000000)) { /* the year 2286 */
            struct tz_segment s = tz_segment_at(tz, at), last;

            assert_true(s.start_s <= at && s.end_s > at);
            if (s.end_s == INT64_MAX)
                break;
            last = tz_segment_at(tz, s.end_s - 1);
            assert_true(last.offset_s == s.offset_s && last.end_s == s.end_s);
            assert_true(tz_segment_at(tz, s.end_s).start_s == s.end_s);
            at = s.end_s;
        }
        tz_free(&tz);
    }
}

static void broken_files_are_refused(void **state)
{
    struct buf file = {0};
    struct tz *tz = NULL;
    struct fault f;

    (void)state;
    make_file("CET-1CEST,M3.5.0,M10.5.0/3", &file);
    for (size_t n = 0; n < file.len; n++) {
        char *part = malloc(n + 1); /* just so long, for ASan */

        memcpy(part, file.data, n);
        assert_int_equal(tz_parse(slice_of(part, n), &tz, &f), ERR_MALFORMED);
        free(part);
    }
    file.data[4] = '\0';
    assert_int_equal(tz_parse(buf_slice(&file), &tz, &f), ERR_UNSUPPORTED);
    file.data[4] = '2';
    file.data[54 + 44 + 5] = 1; /* the only type: no matter */
    assert_int_equal(tz_parse(buf_slice(&file), &tz, &f), ERR_OK);
    tz_free(&tz);
    file.data[54 + 44] = 0x7f; /* an offset of decades */
    assert_int_equal(tz_parse(buf_slice(&file), &tz, &f), ERR_MALFORMED);
    buf_done(&file);
}

static void gaps_and_repeated_hours_are_told(void **state)
{
    struct tz *tz;
    int64_t at;

    (void)state;
    assert_int_equal(tz_load(SLICE_LIT("Europe/Berlin"), &tz, NULL), ERR_OK);
    /* 2026-03-29 01:00 UTC: 02:00 becomes 03:00; 2026-10-25 01:00 UTC: 03:00 becomes 02:00. */
    assert_int_equal(tz_unix_of(tz, 1774751400, &at), TZ_LOCAL_GAP); /* 02:30 */
    assert_int_equal(at, 1774746000);
    assert_int_equal(tz_unix_of(tz, 1774753200, &at), TZ_LOCAL_ONE); /* 03:00 */
    assert_int_equal(at, 1774746000);
    assert_int_equal(tz_unix_of(tz, 1774749599, &at), TZ_LOCAL_ONE); /* 01:59:59 */
    assert_int_equal(at, 1774745999);
    assert_int_equal(tz_unix_of(tz, 1792895400, &at), TZ_LOCAL_REPEATED); /* 02:30 */
    assert_int_equal(at, 1792895400 - 7200);
    assert_int_equal(tz_unix_of(tz, 1792897200, &at), TZ_LOCAL_ONE); /* 03:00 */
    assert_int_equal(at, 1792897200 - 3600);
    tz_free(&tz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_to_zones_and_nowhere_else),
        cmocka_unit_test(rules_are_read_as_posix_has_them),
        cmocka_unit_test(segments_join_and_cover_all_time),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(gaps_and_repeated_hours_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
