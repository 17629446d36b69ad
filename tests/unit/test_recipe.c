#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "queue/recipe.h"
#include "shared/json.h"

static void references_are_names_with_or_without_a_version(void **state)
{
    static const struct {
        const char *text, *name;
        uint32_t version;
    } table[] = {
        {"avatar", "avatar", 0},
        {"a.b_c-1@7", "a.b_c-1", 7},
        {"a@999999999", "a", 999999999},
        {"", NULL, 0},
        {"@1", NULL, 0},
        {"a@", NULL, 0},
        {"a@0", NULL, 0},
        {"a@01", NULL, 0},
        {"a@-1", NULL, 0},
        {"a@1@2", NULL, 0},
        {"a@1000000000", NULL, 0},
        {"Avatar", NULL, 0},
        {"a b", NULL, 0},
        {"../a", NULL, 0},
    };
    char again[RECIPE_REF_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct recipe_ref ref;
        bool good = recipe_ref_parse(slice_str(table[i].text), &ref);

        if (good != (table[i].name != NULL))
            fail_msg("\"%s\"", table[i].text);
        if (!good)
            continue;
        assert_string_equal(ref.name, table[i].name);
        assert_int_equal(ref.version, table[i].version);
        assert_string_equal(recipe_ref_text(&ref, again), table[i].text);
    }
}

#define OUT "\"outputs\":[{\"name\":\"a\"}]"

/* Holds recipes whose names begin with t, as their second and only version. */
struct shelf {
    struct buf packed;
    unsigned asked;
};

static enum recipe_found find(void *arg, const struct recipe_ref *ref, struct slice *ret)
{
    struct shelf *s = arg;

    s->asked++;
    *ret = buf_slice(&s->packed);
    if (strcmp(ref->name, "none") == 0)
        return RECIPE_NONE;
    if (strcmp(ref->name, "many") == 0)
        return RECIPE_TOO_MANY;
    if (ref->name[0] == 't' && (ref->version == 0 || ref->version == 2))
        return RECIPE_HERE;
    return RECIPE_ELSEWHERE;
}

/* A job, and what is asked of it. */
struct bench {
    struct shelf shelf;
    struct recipe_book book;
    struct buf packed;
    msgpack_object job;
    msgpack_zone zone;
    struct spec_fault why;
};

static void bench_open(struct bench *b, const char *recipe, const char *json)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;

    *b = (struct bench){.book = {.find = find, .arg = &b->shelf}};
    assert_true(msgpack_zone_init(&b->zone, 1024));
    assert_int_equal(json_to_msgpack(slice_str(recipe), 16, &b->shelf.packed, NULL), ERR_OK);
    assert_int_equal(json_to_msgpack(slice_str(json), 16, &b->packed, NULL), ERR_OK);
    assert_int_equal(mp_parse(buf_slice(&b->packed), &limits, &b->zone, &b->job, NULL), ERR_OK);
}

static void bench_close(struct bench *b)
{
    msgpack_zone_destroy(&b->zone);
    buf_done(&b->shelf.packed);
    buf_done(&b->packed);
}

/* What came of the job as JSON, or the fault's pointer. The recipe is gone by then. */
static void tell(struct bench *b, enum err e, char *ret, size_t cap)
{
    struct buf out = {0};

    if (b->shelf.packed.len > 0)
        memset(b->shelf.packed.data, 0xc1, b->shelf.packed.len);
    if (e == ERR_OK)
        json_from_msgpack(&b->job, &out);
    (void)snprintf(ret, cap, "%s", e == ERR_OK ? buf_cstr(&out) : b->why.pointer);
    buf_done(&out);
}

#define RECIPE "{" OUT ",\"auto_orient\":false}"

static enum err expand(const char *json, char *ret, size_t cap)
{
    struct bench b;
    enum err e;

    bench_open(&b, RECIPE, json);
    e = recipe_expand(&b.job, &b.book, &b.zone, &b.why);
    tell(&b, e, ret, cap);
    if (e == ERR_NOT_FOUND)
        assert_true(b.book.wanted.name[0] != '\0');
    bench_close(&b);
    return e;
}

#define BODY  OUT ",\"auto_orient\":false"
#define NAMED "{\"type\":\"image\",\"args\":{\"source\":1,\"recipe\":\"thumb\"}}"
#define FULL  "{\"type\":\"image\",\"args\":{\"source\":1," BODY "}}"

static void bodies_take_the_place_of_their_names_wherever_jobs_are(void **state)
{
    static const struct {
        const char *job, *want; /* want: what it becomes, or the pointer */
        enum err err;
    } table[] = {
        {NAMED, FULL, ERR_OK},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"thumb@2\",\"source\":1}}", FULL, ERR_OK},
        {"{\"type\":\"noop\",\"then\":[" NAMED "],\"chain\":[" NAMED "]}",
         "{\"type\":\"noop\",\"then\":[" FULL "],\"chain\":[" FULL "]}", ERR_OK},
        {"{\"then\":[{\"then\":[" NAMED "]}]}", "{\"then\":[{\"then\":[" FULL "]}]}", ERR_OK},
        {"{\"type\":\"noop\",\"args\":{\"recipe\":\"x\"}}",
         "{\"type\":\"noop\",\"args\":{\"recipe\":\"x\"}}", ERR_OK},
        {"{\"type\":\"image\",\"args\":[1]}", "{\"type\":\"image\",\"args\":[1]}", ERR_OK},
        {"[1]", "[1]", ERR_OK},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"other\"}}", "/args/recipe", ERR_NOT_FOUND},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"thumb@1\"}}", "/args/recipe",
         ERR_NOT_FOUND},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"none\"}}", "/args/recipe", ERR_MALFORMED},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"many\"}}", "/args/recipe", ERR_MALFORMED},
        {"{\"type\":\"image\",\"args\":{\"recipe\":5}}", "/args/recipe", ERR_MALFORMED},
        {"{\"then\":[1,{\"chain\":[{\"type\":\"image\",\"args\":{\"recipe\":\"o\"}}]}]}",
         "/then/1/chain/0/args/recipe", ERR_NOT_FOUND},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"thumb\",\"outputs\":[]}}", "/args/outputs",
         ERR_MALFORMED},
        {"{\"type\":\"image\",\"args\":{\"recipe\":\"thumb\",\"auto_orient\":true}}",
         "/args/auto_orient", ERR_MALFORMED},
    };
    char got[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum err e = expand(table[i].job, got, sizeof got);

        if (e != table[i].err || strcmp(got, table[i].want) != 0)
            fail_msg("%s: %s, %s", table[i].job, err_name(e), got);
    }
}

static void what_is_to_be_other_may_name_recipes_of_image_jobs(void **state)
{
    static const struct {
        const char *edit, *want; /* want: what it becomes, or the pointer */
        enum err err;
        bool image;
    } table[] = {
        {"{\"args\":{\"source\":1,\"recipe\":\"thumb\"}}", "{\"args\":{\"source\":1," BODY "}}",
         ERR_OK, true},
        {"{\"args\":{\"source\":1}}", "{\"args\":{\"source\":1}}", ERR_OK, false},
        {"{\"then\":[" NAMED "]}", "{\"then\":[" FULL "]}", ERR_OK, false},
        {"{\"args\":{\"recipe\":\"other\"}}", "/args/recipe", ERR_NOT_FOUND, true},
        {"{\"args\":{\"recipe\":\"none\"}}", "/args/recipe", ERR_MALFORMED, true},
        {"{\"args\":[1]}", "{\"args\":[1]}", ERR_OK, false},
        {"[1]", "[1]", ERR_OK, false},
    };
    char got[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        bool image = false;
        struct bench b;
        enum err e;

        bench_open(&b, RECIPE, table[i].edit);
        e = recipe_expand_edit(&b.job, &b.book, &b.zone, &image, &b.why);
        tell(&b, e, got, sizeof got);
        bench_close(&b);
        if (e != table[i].err || image != table[i].image || strcmp(got, table[i].want) != 0)
            fail_msg("%s: %s, %s", table[i].edit, err_name(e), got);
    }
}

/* {"chain":[{"type":"image","args":{"recipe":"t0"}}, ...]}; all the same one with `distinct` 1. */
static void write_chain(size_t n, size_t distinct, struct buf *out)
{
    buf_add_str(out, "{\"chain\":[");
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s{\"type\":\"image\",\"args\":{\"recipe\":\"t%zu\"}}", i > 0 ? "," : "",
                 i % distinct);
    buf_add_str(out, "]}");
}

static void a_job_names_so_many_recipes_and_no_more(void **state)
{
    static const struct {
        size_t n, distinct;
        const char *pointer; /* NULL: it may */
    } table[] = {
        {RECIPES_PER_JOB, RECIPES_PER_JOB, NULL},
        {3 * RECIPES_PER_JOB, RECIPES_PER_JOB, NULL},
        {RECIPES_PER_JOB + 1, RECIPES_PER_JOB + 1, "/chain/32/args/recipe"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf json = {0};
        struct bench b;
        enum err e;

        write_chain(table[i].n, table[i].distinct, &json);
        bench_open(&b, RECIPE, buf_cstr(&json));
        e = recipe_expand(&b.job, &b.book, &b.zone, &b.why);
        assert_int_equal(e, table[i].pointer == NULL ? ERR_OK : ERR_MALFORMED);
        if (table[i].pointer != NULL)
            assert_string_equal(b.why.pointer, table[i].pointer);
        else
            assert_int_equal(b.book.given, table[i].n * b.shelf.packed.len);
        bench_close(&b);
        buf_done(&json);
    }
}

static void a_small_job_cannot_name_its_way_to_a_huge_one(void **state)
{
    struct buf recipe = {0}, json = {0};
    struct bench b;

    (void)state;
    buf_add_str(&recipe, "{" OUT ",\"text\":\"");
    for (size_t i = 0; i < JOB_ITEM_MAX / 10; i++)
        buf_add_char(&recipe, 'x');
    buf_add_str(&recipe, "\"}");
    write_chain(100, 1, &json);
    bench_open(&b, buf_cstr(&recipe), buf_cstr(&json));
    assert_int_equal(recipe_expand(&b.job, &b.book, &b.zone, &b.why), ERR_TOO_BIG);
    assert_int_equal(b.shelf.asked, 10); /* it was not unpacked a hundred times first */
    bench_close(&b);
    buf_done(&recipe);
    buf_done(&json);
}

static void a_body_is_checked_as_args_without_a_source(void **state)
{
    static const struct {
        const char *body, *pointer; /* NULL: it is good */
    } table[] = {
        {"{" OUT "}", NULL},
        {"{" BODY "}", NULL},
        {"{}", "/outputs"},
        {"[]", ""},
        {"{" OUT ",\"source\":{\"path\":\"/a\"}}", "/source"},
        {"{" OUT ",\"recipe\":\"b\"}", "/recipe"},
        {"{" OUT ",\"other\":1}", "/other"},
        {"{\"outputs\":[{\"name\":\"\"}]}", "/outputs/0/name"},
    };
    const struct mp_limits limits = MP_LIMITS_DEFAULT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct spec_fault why = {.pointer = "none"};
        struct buf packed = {0};
        msgpack_object body;
        msgpack_zone zone;
        enum err e;

        assert_true(msgpack_zone_init(&zone, 1024));
        assert_int_equal(json_to_msgpack(slice_str(table[i].body), 16, &packed, NULL), ERR_OK);
        assert_int_equal(mp_parse(buf_slice(&packed), &limits, &zone, &body, NULL), ERR_OK);
        e = recipe_check(&body, &why);
        if (e != (table[i].pointer == NULL ? ERR_OK : ERR_MALFORMED) ||
            (table[i].pointer != NULL && strcmp(why.pointer, table[i].pointer) != 0))
            fail_msg("%s: %s at %s", table[i].body, err_name(e), why.pointer);
        msgpack_zone_destroy(&zone);
        buf_done(&packed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_names_with_or_without_a_version),
        cmocka_unit_test(bodies_take_the_place_of_their_names_wherever_jobs_are),
        cmocka_unit_test(what_is_to_be_other_may_name_recipes_of_image_jobs),
        cmocka_unit_test(a_job_names_so_many_recipes_and_no_more),
        cmocka_unit_test(a_small_job_cannot_name_its_way_to_a_huge_one),
        cmocka_unit_test(a_body_is_checked_as_args_without_a_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
