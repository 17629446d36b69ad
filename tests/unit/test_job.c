/* The envelope against the vectors in tests/golden, which another implementation wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/job.h"
#include "shared/json.h"

/* A JSON file as msgpack. */
struct file {
    struct buf bytes;
    msgpack_zone zone;
    msgpack_object root;
};

static void file_open(struct file *f, const char *path)
{
    static const struct mp_limits limits = {32, 100000, 1 << 20};
    struct fault why = {.text = ""};
    struct buf text = {.len = 0};
    FILE *in = fopen(path, "re");
    char chunk[4096];
    size_t n;

    if (in == NULL)
        fail_msg("%s: cannot be opened; run this from the root of the tree", path);
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
        buf_add(&text, chunk, n);
    assert_int_equal(fclose(in), 0);
    memset(f, 0, sizeof *f);
    if (json_to_msgpack(buf_slice(&text), 32, &f->bytes, &why) != ERR_OK)
        fail_msg("%s: %s", path, why.text);
    assert_true(msgpack_zone_init(&f->zone, 4096));
    if (mp_parse(buf_slice(&f->bytes), &limits, &f->zone, &f->root, &why) != ERR_OK)
        fail_msg("%s: %s", path, why.text);
    buf_done(&text);
}

static void file_close(struct file *f)
{
    msgpack_zone_destroy(&f->zone);
    buf_done(&f->bytes);
}

static struct slice text_of(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = mp_get(map, key);

    assert_non_null(o);
    assert_int_equal(o->type, MSGPACK_OBJECT_STR);
    return mp_as_slice(o);
}

static void add_hex(struct buf *out, struct slice hex)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        char digits[3] = {hex.ptr[i], hex.ptr[i + 1], '\0'};

        buf_add_char(out, (char)strtoul(digits, NULL, 16));
    }
}

static void encode_object(const msgpack_object *o, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    if (o != NULL)
        assert_int_equal(msgpack_pack_object(&pk, *o), 0);
}

static uint64_t number_of(const msgpack_object *map, const char *key)
{
    const msgpack_object *o = mp_get(map, key);

    return o == NULL ? 0 : o->via.u64;
}

static struct slice text_or_none(const msgpack_object *map, const char *key)
{
    return mp_get(map, key) == NULL ? SLICE_LIT("") : text_of(map, key);
}

/* What a vector tells of. */
struct told {
    struct job job;
    struct buf args, then, retry, chain; /* what its slices point to */
};

static void told_done(struct told *t)
{
    buf_done(&t->args);
    buf_done(&t->then);
    buf_done(&t->retry);
    buf_done(&t->chain);
}

static struct slice encoded(const msgpack_object *told, const char *key, struct buf *out)
{
    encode_object(mp_get(told, key), out);
    return buf_slice(out);
}

static void told_job(const msgpack_object *told, struct told *ret)
{
    struct job job = {.max_attempts = (uint32_t)number_of(told, "max_attempts"),
                      .timeout_ms = (uint32_t)number_of(told, "timeout_ms"),
                      .expires_ms = number_of(told, "expires_ms"),
                      .key = text_or_none(told, "key"),
                      .unique = text_or_none(told, "unique"),
                      .has_parent = mp_get(told, "parent") != NULL,
                      .has_batch = mp_get(told, "batch") != NULL};

    assert_true(uuid_parse(text_of(told, "id"), &job.id));
    assert_true(slice_to_cstr(text_of(told, "type"), job.type, sizeof job.type));
    if (job.has_parent)
        assert_true(uuid_parse(text_of(told, "parent"), &job.parent));
    if (job.has_batch)
        assert_true(uuid_parse(text_of(told, "batch"), &job.batch));
    memset(ret, 0, sizeof *ret);
    job.args = encoded(told, "args", &ret->args);
    job.then = encoded(told, "then", &ret->then);
    job.retry = encoded(told, "retry", &ret->retry);
    job.chain = encoded(told, "chain", &ret->chain);
    ret->job = job;
}

/* The same values; their encodings may differ in width. */
static void assert_same_values(struct slice got, struct slice want)
{
    struct buf got_json = {.len = 0};
    struct buf want_json = {.len = 0};

    json_from_msgpack_bytes(got, &got_json);
    json_from_msgpack_bytes(want, &want_json);
    assert_string_equal(buf_cstr(&got_json), buf_cstr(&want_json));
    buf_done(&got_json);
    buf_done(&want_json);
}

static void assert_same_part(struct slice got, struct slice want)
{
    assert_int_equal(got.len == 0, want.len == 0);
    if (want.len > 0)
        assert_same_values(got, want);
}

static void assert_job_equal(const struct job *got, const struct job *want)
{
    assert_memory_equal(got->id.bytes, want->id.bytes, UUID_LEN);
    assert_string_equal(got->type, want->type);
    assert_int_equal(got->max_attempts, want->max_attempts);
    assert_int_equal(got->timeout_ms, want->timeout_ms);
    assert_int_equal(got->has_parent, want->has_parent);
    assert_memory_equal(got->parent.bytes, want->parent.bytes, UUID_LEN);
    assert_same_values(got->args, want->args);
    assert_same_part(got->then, want->then);
    assert_same_part(got->retry, want->retry);
    assert_same_part(got->chain, want->chain);
    assert_true(got->expires_ms == want->expires_ms);
    assert_true(slice_eq(got->key, want->key) && slice_eq(got->unique, want->unique));
    assert_int_equal(got->has_batch, want->has_batch);
    assert_memory_equal(got->batch.bytes, want->batch.bytes, UUID_LEN);
}

typedef void vector_fn(const msgpack_object *vector, struct slice bytes);

static void each_vector(const char *path, vector_fn *check)
{
    struct file f;

    file_open(&f, path);
    assert_true(f.root.via.array.size > 0);
    for (uint32_t i = 0; i < f.root.via.array.size; i++) {
        const msgpack_object *vector = &f.root.via.array.ptr[i];
        struct buf bytes = {.len = 0};

        add_hex(&bytes, text_of(vector, "hex"));
        print_message("    " SLICE_FMT "\n", SLICE_ARG(text_of(vector, "name")));
        check(vector, buf_slice(&bytes));
        buf_done(&bytes);
    }
    file_close(&f);
}

static void check_decode(const msgpack_object *vector, struct slice bytes)
{
    struct told want;
    struct job got;
    struct fault why = {.text = ""};

    told_job(mp_get(vector, "job"), &want);
    if (job_decode(bytes, &got, &why) != ERR_OK)
        fail_msg("%s", why.text);
    assert_job_equal(&got, &want.job);
    told_done(&want);
}

static void check_encode(const msgpack_object *vector, struct slice bytes)
{
    struct buf out = {.len = 0};
    struct told told;

    told_job(mp_get(vector, "job"), &told);
    job_encode(&told.job, &out);
    assert_int_equal(out.len, bytes.len);
    assert_memory_equal(out.data, bytes.ptr, bytes.len);
    assert_memory_equal(out.data + JOB_ID_OFFSET, told.job.id.bytes, UUID_LEN);
    told_done(&told);
    buf_done(&out);
}

static void check_refused(const msgpack_object *vector, struct slice bytes)
{
    struct slice want = text_of(vector, "error");
    struct job job;
    struct fault why = {.text = ""};
    enum err e = job_decode(bytes, &job, &why);

    assert_int_not_equal(e, ERR_OK);
    assert_int_equal(err_class(e), ERR_CLASS_FINAL);
    if (strncmp(why.text, want.ptr, want.len) != 0)
        fail_msg("says: %s", why.text);
    assert_int_not_equal(job_decode(bytes, &job, NULL), ERR_OK);
}

static void our_encoding_is_the_golden_one(void **state)
{
    (void)state;
    each_vector("tests/golden/jobs.json", check_encode);
}

static void golden_envelopes_decode(void **state)
{
    (void)state;
    each_vector("tests/golden/jobs.json", check_decode);
}

static void other_programs_may_order_and_size_as_they_like(void **state)
{
    (void)state;
    each_vector("tests/golden/foreign.json", check_decode);
}

static void malformed_envelopes_are_refused_by_field(void **state)
{
    (void)state;
    each_vector("tests/golden/malformed.json", check_refused);
}

/* --- what is too big for a file ---------------------------------------------------------------- */

static enum err decode_with_args(struct slice args, struct fault *ret_why)
{
    struct job job = {.type = "noop", .args = args};
    struct buf out = {.len = 0};
    enum err e;

    job_encode(&job, &out);
    e = job_decode(buf_slice(&out), &job, ret_why);
    buf_done(&out);
    return e;
}

static void an_item_past_the_limit_is_refused(void **state)
{
    struct fault why = {.text = ""};
    struct buf args = {.len = 0};
    struct slice fill;
    msgpack_packer pk;
    char *bytes = calloc(1, JOB_ITEM_MAX);

    (void)state;
    assert_non_null(bytes);
    mp_packer(&pk, &args);
    for (size_t at_limit = 0; at_limit < 2; at_limit++) {
        buf_clear(&args);
        msgpack_pack_map(&pk, 1);
        mp_str(&pk, "payload");
        /* envelope of an empty args map: 41 bytes; payload's name and the length of bin: 13 more */
        fill = slice_of(bytes, JOB_ITEM_MAX - 41 - 8 - 5 + (at_limit == 0 ? 1 : 0));
        mp_bin(&pk, fill);
        assert_int_equal(decode_with_args(buf_slice(&args), &why) == ERR_OK, at_limit == 1);
    }
    buf_done(&args);
    free(bytes);
}

static void too_many_values_are_refused(void **state)
{
    struct fault why = {.text = ""};
    struct buf args = {.len = 0};
    msgpack_packer pk;

    (void)state;
    mp_packer(&pk, &args);
    msgpack_pack_map(&pk, 1);
    mp_str(&pk, "payload");
    msgpack_pack_array(&pk, JOB_VALUES_MAX);
    for (size_t i = 0; i < JOB_VALUES_MAX; i++)
        msgpack_pack_uint8(&pk, 0);
    assert_int_not_equal(decode_with_args(buf_slice(&args), &why), ERR_OK);
    assert_memory_equal(why.text, "item: ", 6);
    buf_done(&args);
}

static void a_long_unknown_field_is_shown_in_whole_characters(void **state)
{
    struct fault why = {.text = ""};
    struct job job = {.type = "noop", .args = SLICE_LIT("\x80")};
    struct buf out = {.len = 0};
    char key[100];
    msgpack_packer pk;

    (void)state;
    memset(key, 'x', 63);
    for (size_t i = 63; i < sizeof key - 1; i += 2) /* the limit cuts into an é */
        memcpy(key + i, "\xc3\xa9", 2);
    job_encode(&job, &out);
    out.data[0]++; /* one more pair */
    mp_packer(&pk, &out);
    mp_slice(&pk, slice_of(key, 99));
    msgpack_pack_nil(&pk);
    assert_int_equal(job_decode(buf_slice(&out), &job, &why), ERR_MALFORMED);
    key[63] = '\0';
    assert_int_equal(strncmp(why.text, key, 63), 0);
    assert_string_equal(why.text + 63, " is not a known field");
    buf_done(&out);
}

/* --- names --------------------------------------------------------------------------------------- */

static void names_follow_the_rule(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } rows[] = {
        {"a", true},    {"image", true}, {"a-b_c.9", true}, {"", false},   {"9a", false},
        {"-a", false},  {".a", false},   {"A", false},      {"aB", false}, {"a b", false},
        {"a/b", false}, {"a\n", false},  {"{a}", false},    {"é", false},  {"a:b", false},
    };
    char longest[JOB_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (job_name_is_valid(slice_str(rows[i].name)) != rows[i].want)
            fail_msg("\"%s\"", rows[i].name);
    }
    memset(longest, 'a', sizeof longest);
    assert_true(job_name_is_valid(slice_of(longest, JOB_NAME_MAX)));
    assert_false(job_name_is_valid(slice_of(longest, JOB_NAME_MAX + 1)));
    assert_false(job_name_is_valid(slice_of("a\0b", 3)));
}

static void every_state_has_a_name_that_parses_back(void **state)
{
    enum job_state parsed;
    unsigned terminal = 0;

    (void)state;
    for (int s = JOB_QUEUED; s <= JOB_EXPIRED; s++) {
        assert_true(job_state_parse(slice_str(job_state_name((enum job_state)s)), &parsed));
        assert_int_equal(parsed, s);
        terminal += job_state_is_terminal((enum job_state)s);
    }
    assert_int_equal(terminal, 4);
    assert_true(job_state_is_terminal(JOB_DEAD));
    assert_false(job_state_is_terminal(JOB_RETRYING));
    assert_false(job_state_parse(SLICE_LIT("Dead"), &parsed));
    assert_false(job_state_parse(SLICE_LIT(""), &parsed));
    assert_string_equal(job_state_name((enum job_state)99), "unknown");
    assert_false(job_state_is_terminal((enum job_state)99));
}

static void every_priority_has_a_name_that_parses_back(void **state)
{
    enum job_priority parsed;

    (void)state;
    for (int p = 0; p < JOB_PRIORITIES; p++) {
        assert_true(
            job_priority_parse(slice_str(job_priority_name((enum job_priority)p)), &parsed));
        assert_int_equal(parsed, p);
    }
    assert_string_equal(job_priority_name(JOB_PRIORITY_CRITICAL), "critical");
    assert_string_equal(job_priority_name((enum job_priority)9), "unknown");
    assert_false(job_priority_parse(SLICE_LIT("urgent"), &parsed));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_encoding_is_the_golden_one),
        cmocka_unit_test(golden_envelopes_decode),
        cmocka_unit_test(other_programs_may_order_and_size_as_they_like),
        cmocka_unit_test(malformed_envelopes_are_refused_by_field),
        cmocka_unit_test(an_item_past_the_limit_is_refused),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(a_long_unknown_field_is_shown_in_whole_characters),
        cmocka_unit_test(names_follow_the_rule),
        cmocka_unit_test(every_state_has_a_name_that_parses_back),
        cmocka_unit_test(every_priority_has_a_name_that_parses_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
