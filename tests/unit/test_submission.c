#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/submission.h"
#include "shared/clock.h"

#define DEPTH 16
#define NOOP  "\"type\":\"noop\",\"args\":{}"

static enum err parse(const char *json, struct submission *s, struct spec_fault *why)
{
    *why = (struct spec_fault){"-", "-"};
    return submission_parse(slice_str(json), DEPTH, s, why);
}

static void a_job_as_short_as_can_be_gets_its_types_defaults(void **state)
{
    struct submission s;
    struct spec_fault why;
    struct producer_job p;
    struct job job;

    (void)state;
    assert_int_equal(parse("{" NOOP "}", &s, &why), ERR_OK);
    assert_string_equal(s.queue, "default");
    assert_int_equal(s.priority, JOB_PRIORITY_NORMAL);
    assert_true(s.due_ms == 0);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    assert_string_equal(job.type, "noop");
    assert_true(uuid_eq(&job.id, &s.id));
    assert_int_equal(job.max_attempts, 0); /* left out: the type's default is meant */
    assert_int_equal(job.timeout_ms, 0);
    assert_int_equal(job.then.len, 0);
    assert_false(job.has_parent);
    assert_memory_equal(s.item.data + JOB_ID_OFFSET, s.id.bytes, UUID_LEN);
    p = submission_job(&s);
    assert_string_equal(p.queue, "default");
    assert_string_equal(p.type, "noop");
    assert_true(p.due_ms == 0 && slice_eq(p.item, buf_slice(&s.item)));
    submission_done(&s);
}

static void all_that_is_given_reaches_the_envelope(void **state)
{
    static const char json[] =
        "{\"queue\":\"side\",\"priority\":\"critical\",\"max_attempts\":7,\"timeout_ms\":1234,"
        "\"delay_ms\":5000,\"then\":[{\"type\":\"noop\",\"args\":{\"work_ms\":1},\"on\":"
        "\"failure\"}],\"type\":\"noop\",\"args\":{\"payload\":[1,-2,0.5,\"\xc3\xa9\",null,"
        "true]}}";
    static const char args[] =
        "\x81\xa7payload\x96\x01\xfe\xcb\x3f\xe0\0\0\0\0\0\0\xa2\xc3\xa9\xc0\xc3";
    struct submission s;
    struct spec_fault why;
    struct job job;

    (void)state;
    clock_fake(1, 1000000);
    assert_int_equal(parse(json, &s, &why), ERR_OK);
    assert_string_equal(s.queue, "side");
    assert_int_equal(s.priority, JOB_PRIORITY_CRITICAL);
    assert_true(submission_job(&s).due_ms == 1005000);
    clock_fake(0, 0);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    assert_int_equal(job.max_attempts, 7);
    assert_int_equal(job.timeout_ms, 1234);
    assert_true(slice_eq(job.args, slice_of(args, sizeof args - 1)));
    assert_true(job.then.len > 0 && (uint8_t)job.then.ptr[0] == 0x91);
    submission_done(&s);
}

static void what_says_when_how_often_and_for_whom_reaches_the_envelope(void **state)
{
    static const char json[] =
        "{" NOOP ",\"run_at\":\"1970-01-01T01:00:00+00:30\",\"expires_at\":"
        "\"2030-01-31T08:00:00.250Z\",\"key\":\"tenant-7\",\"retry\":{\"policy\":\"list\","
        "\"delays_ms\":[0,50]},\"unique\":{\"key\":\"a b\",\"window_ms\":9,\"policy\":"
        "\"replace\"},\"chain\":[{" NOOP "},{" NOOP ",\"queue\":\"q\"}]}";
    struct submission s;
    struct spec_fault why;
    struct job job;

    (void)state;
    assert_int_equal(parse(json, &s, &why), ERR_OK);
    assert_true(s.due_ms == 1800000);
    assert_int_equal(submission_state(&s), JOB_QUEUED); /* long past */
    assert_string_equal(s.unique, "a b");
    assert_int_equal(s.unique_policy, UNIQUE_REPLACE);
    assert_true(s.unique_window_ms == 9);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    assert_true(job.expires_ms == 1896076800250);
    assert_true(slice_is(job.key, "tenant-7") && slice_is(job.unique, "a b"));
    assert_int_equal((uint8_t)job.retry.ptr[0], 0x82);
    assert_int_equal((uint8_t)job.chain.ptr[0], 0x92);
    assert_false(job.has_batch);
    submission_done(&s);
    clock_fake(1, 5000);
    assert_int_equal(parse("{" NOOP ",\"expires_in_ms\":70,\"delay_ms\":1}", &s, &why), ERR_OK);
    assert_int_equal(submission_state(&s), JOB_SCHEDULED);
    clock_fake(0, 0);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    assert_true(job.expires_ms == 5070);
    submission_done(&s);
}

static void an_empty_list_of_followers_is_as_none(void **state)
{
    struct submission s;
    struct spec_fault why;
    struct job job;

    (void)state;
    assert_int_equal(parse("{" NOOP ",\"then\":[]}", &s, &why), ERR_OK);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    assert_int_equal(job.then.len, 0);
    submission_done(&s);
}

static const struct {
    const char *json, *pointer, *text; /* text: found somewhere in the rule */
} faults[] = {
    /* the JSON itself */
    {"", "", "JSON"},
    {"{", "", "JSON"},
    {"{" NOOP "} x", "", "JSON"},
    {"{" NOOP ",}", "", "JSON"},
    {"{'type':'noop'}", "", "JSON"},
    {"{" NOOP ",\"queue\":\"a\",\"queue\":\"b\"}", "", "duplicate"},
    {"{" NOOP ",\"timeout_ms\":NaN}", "", "JSON"},
    {"{\"type\":\"noop\",\"args\":{\"payload\":\"\xff\"}}", "", "decode byte 0xff"},
    {"{\"type\":\"noop\",\"args\":{\"payload\":\"\\u0000\"}}", "", "u0000"},
    {"{\"type\":\"noop\",\"args\":{\"payload\":\"\\ud800\"}}", "", "JSON"},
    {"{\"type\":\"noop\",\"args\":{\"payload\":18446744073709551616}}", "", "big"},
    {"{\"type\":\"noop\",\"args\":{\"payload\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}}", "", "16"},
    {"[]", "", "must be an object"},
    {"\"noop\"", "", "must be an object"},
    {"null", "", "must be an object"},
    /* its fields */
    {"{}", "/type", "is required"},
    {"{\"type\":\"noop\"}", "/args", "is required"},
    {"{\"args\":{}}", "/type", "is required"},
    {"{\"type\":\"no op\",\"args\":{}}", "/type", "must be 1 to 64 of"},
    {"{\"type\":7,\"args\":{}}", "/type", "must be 1 to 64 of"},
    {"{\"type\":\"nop\",\"args\":{}}", "/type", "known here: image, webhook, email, noop"},
    {"{\"type\":\"noop\",\"args\":[]}", "/args", "must be an object"},
    {"{\"type\":\"noop\",\"args\":null}", "/args", "must be an object"},
    {"{" NOOP ",\"id\":\"x\"}", "/id", "is not a known field"},
    {"{" NOOP ",\"a/b~c\":1}", "/a~1b~0c", "is not a known field"},
    {"{" NOOP ",\"queue\":\"Q\"}", "/queue", "must be 1 to 64 of"},
    {"{" NOOP ",\"queue\":\"\"}", "/queue", "must be 1 to 64 of"},
    {"{" NOOP ",\"queue\":\"a{b}\"}", "/queue", "must be 1 to 64 of"},
    {"{" NOOP ",\"priority\":\"urgent\"}", "/priority",
     "must be one of critical, high, normal, low"},
    {"{" NOOP ",\"priority\":1}", "/priority", "must be one of"},
    {"{" NOOP ",\"max_attempts\":0}", "/max_attempts", "from 1 to 100"},
    {"{" NOOP ",\"max_attempts\":101}", "/max_attempts", "from 1 to 100"},
    {"{" NOOP ",\"max_attempts\":1.5}", "/max_attempts", "must be an integer"},
    {"{" NOOP ",\"max_attempts\":\"3\"}", "/max_attempts", "must be an integer"},
    {"{" NOOP ",\"timeout_ms\":0}", "/timeout_ms", "from 1 to 86400000"},
    {"{" NOOP ",\"timeout_ms\":86400001}", "/timeout_ms", "from 1 to 86400000"},
    {"{" NOOP ",\"delay_ms\":-1}", "/delay_ms", "from 0 to 31536000000"},
    {"{" NOOP ",\"delay_ms\":31536000001}", "/delay_ms", "from 0 to 31536000000"},
    {"{" NOOP ",\"delay_ms\":1.0}", "/delay_ms", "must be an integer"},
    {"{" NOOP ",\"run_at\":1}", "/run_at", "RFC 3339"},
    {"{" NOOP ",\"run_at\":\"2030-02-30T00:00:00Z\"}", "/run_at", "RFC 3339"},
    {"{" NOOP ",\"run_at\":\"2030-02-01T00:00:00Z\",\"delay_ms\":1}", "/run_at", "delay_ms"},
    {"{" NOOP ",\"expires_in_ms\":0}", "/expires_in_ms", "from 1 to 31536000000"},
    {"{" NOOP ",\"expires_at\":\"2030-02-01\"}", "/expires_at", "RFC 3339"},
    {"{" NOOP ",\"expires_at\":\"2030-02-01T00:00:00Z\",\"expires_in_ms\":1}", "/expires_at",
     "expires_in_ms"},
    {"{" NOOP ",\"key\":\"\"}", "/key", "1 to 128 bytes"},
    {"{" NOOP ",\"key\":\"a\\nb\"}", "/key", "control characters"},
    {"{" NOOP ",\"retry\":{\"policy\":\"never\"}}", "/retry/policy",
     "exponential, fixed, list"},
    {"{" NOOP ",\"retry\":{\"base_ms\":0}}", "/retry/base_ms", "from 1 to 604800000"},
    {"{" NOOP ",\"retry\":{\"jitter_pct\":101}}", "/retry/jitter_pct", "from 0 to 100"},
    {"{" NOOP ",\"retry\":{\"policy\":\"list\"}}", "/retry/delays_ms", "is required"},
    {"{" NOOP ",\"retry\":{\"delays_ms\":[1]}}", "/retry/delays_ms", "list alone"},
    {"{" NOOP ",\"retry\":{\"policy\":\"list\",\"delays_ms\":[1,-1]}}", "/retry/delays_ms/1",
     "from 0 to"},
    {"{" NOOP ",\"unique\":{}}", "/unique/key", "is required"},
    {"{" NOOP ",\"unique\":{\"key\":\"k\",\"policy\":\"drop\"}}", "/unique/policy",
     "reject, keep, replace"},
    {"{" NOOP ",\"unique\":{\"key\":\"k\",\"window_ms\":0}}", "/unique/window_ms", "from 1"},
    {"{" NOOP ",\"chain\":[{" NOOP ",\"on\":\"always\"}]}", "/chain/0/on", "not a known field"},
    {"{" NOOP ",\"then\":[{" NOOP ",\"unique\":{\"key\":\"k\"}}]}", "/then/0/unique",
     "not a known field"},
    {"{" NOOP ",\"then\":[{" NOOP ",\"then\":[{\"type\":\"noop\"}]}]}", "/then/0/then/0/args",
     "is required"},
    /* its args and followers: the rules of queue/spec, at the right place */
    {"{\"type\":\"noop\",\"args\":{\"x\":1}}", "/args/x", "is not a known field"},
    {"{\"type\":\"noop\",\"args\":{\"work_ms\":60001}}", "/args/work_ms", "from 0 to 60000"},
    {"{\"type\":\"image\",\"args\":{\"source\":{},\"outputs\":[]}}", "/args/source",
     "exactly one of upload, url, path"},
    {"{\"type\":\"image\",\"args\":{\"source\":{\"path\":\"/a\"},\"outputs\":[{\"name\":\"a\","
     "\"ops\":[{\"resize\":{\"width\":0}}]}]}}",
     "/args/outputs/0/ops/0/resize/width", "must be an integer"},
    {"{" NOOP ",\"then\":{}}", "/then", "must be an array"},
    {"{" NOOP ",\"then\":[{" NOOP "},{\"type\":\"noop\"}]}", "/then/1/args", "is required"},
    {"{" NOOP ",\"then\":[{\"type\":\"x\",\"args\":{}}]}", "/then/0/type", "known here: image"},
    {"{" NOOP ",\"then\":[{" NOOP ",\"on\":\"never\"}]}", "/then/0/on",
     "must be one of success"},
    {"{" NOOP ",\"then\":[{\"type\":\"webhook\",\"args\":{\"url\":\"ftp://x\"}}]}",
     "/then/0/args/url", "http or https"},
};

static void what_is_wrong_is_named_with_its_place_and_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct submission s;
        struct spec_fault why;

        if (parse(faults[i].json, &s, &why) != ERR_MALFORMED ||
            strcmp(why.pointer, faults[i].pointer) != 0 ||
            strstr(why.text, faults[i].text) == NULL)
            fail_msg("%s: at \"%s\": %s", faults[i].json, why.pointer, why.text);
    }
}

/* {"type":"noop","args":{"payload":[0,0,...]}} */
static void make_job_of_values(struct buf *json, size_t n)
{
    buf_add_str(json, "{\"type\":\"noop\",\"args\":{\"payload\":[0");
    for (size_t i = 1; i < n; i++)
        buf_add_str(json, ",0");
    buf_add_str(json, "]}}");
}

static void what_a_worker_would_refuse_is_refused_here(void **state)
{
    const size_t most =
        JOB_VALUES_MAX - 4 - 7; /* 7: the root, two keys, type, args, key, array */
    struct buf json = {0};
    struct submission s;
    struct spec_fault why;
    struct job job;

    (void)state;
    make_job_of_values(&json, most);
    assert_int_equal(submission_parse(buf_slice(&json), DEPTH, &s, &why), ERR_OK);
    assert_int_equal(job_decode(buf_slice(&s.item), &job, NULL), ERR_OK);
    submission_done(&s);
    buf_clear(&json);
    make_job_of_values(&json, most + 1);
    assert_int_equal(submission_parse(buf_slice(&json), DEPTH, &s, &why), ERR_TOO_BIG);
    assert_string_equal(why.text, "more than 9996 keys and values in one job");
    buf_done(&json);
}

/* {"type":"noop","args":{"payload":"xxx..."}} with a string of n bytes. */
static void make_job_of_bytes(struct buf *json, size_t n)
{
    buf_add_str(json, "{\"type\":\"noop\",\"args\":{\"payload\":\"");
    while (n-- > 0)
        buf_add_char(json, 'x');
    buf_add_str(json, "\"}}");
}

static void the_envelope_has_a_largest_size_and_that_size_is_taken(void **state)
{
    struct buf json = {0};
    struct submission s;
    struct spec_fault why;
    size_t n = 200000, over;

    (void)state;
    make_job_of_bytes(&json, n);
    assert_int_equal(submission_parse(buf_slice(&json), DEPTH, &s, &why), ERR_OK);
    over = s.item.len - n;
    submission_done(&s);
    buf_clear(&json);
    make_job_of_bytes(&json, JOB_ITEM_MAX - over);
    assert_int_equal(submission_parse(buf_slice(&json), DEPTH, &s, &why), ERR_OK);
    assert_int_equal(s.item.len, JOB_ITEM_MAX);
    submission_done(&s);
    buf_clear(&json);
    make_job_of_bytes(&json, JOB_ITEM_MAX - over + 1);
    assert_int_equal(submission_parse(buf_slice(&json), DEPTH, &s, &why), ERR_TOO_BIG);
    assert_string_equal(why.text,
                        "the job takes 262145 bytes encoded, at most 262144 are taken");
    buf_done(&json);
}

static void nesting_has_a_limit_and_the_limit_itself_is_taken(void **state)
{
    struct submission s;
    struct spec_fault why;

    (void)state;
    /* the root, args, payload's two */
    assert_int_equal(
        submission_parse(SLICE_LIT("{\"type\":\"noop\",\"args\":{\"payload\":[[1]]}}"), 4, &s,
                         &why),
        ERR_OK);
    submission_done(&s);
    assert_int_equal(
        submission_parse(SLICE_LIT("{\"type\":\"noop\",\"args\":{\"payload\":[[[1]]]}}"), 4, &s,
                         &why),
        ERR_MALFORMED);
    assert_string_equal(why.pointer, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_as_short_as_can_be_gets_its_types_defaults),
        cmocka_unit_test(all_that_is_given_reaches_the_envelope),
        cmocka_unit_test(what_says_when_how_often_and_for_whom_reaches_the_envelope),
        cmocka_unit_test(an_empty_list_of_followers_is_as_none),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place_and_its_rule),
        cmocka_unit_test(what_a_worker_would_refuse_is_refused_here),
        cmocka_unit_test(the_envelope_has_a_largest_size_and_that_size_is_taken),
        cmocka_unit_test(nesting_has_a_limit_and_the_limit_itself_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
