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

/* Holds one recipe: thumb, with thumb@2 as its only version. */
struct shelf {
    struct buf packed;
    unsigned asked;
};

static struct slice find(void *arg, const struct recipe_ref *ref)
{
    struct shelf *s = arg;

    s->asked++;
    if (strcmp(ref->name, "thumb") != 0 || (ref->version != 0 && ref->version != 2))
        return slice_of(NULL, 0);
    return buf_slice(&s->packed);
}

/* Gives what comes of the job as JSON, or the fault as "pointer|text". */
static enum err expand(const char *json, char *ret, size_t cap)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    struct shelf shelf = {.asked = 0};
    struct recipe_book book = {.find = find, .arg = &shelf};
    struct buf packed = {0}, out = {0};
    struct spec_fault why;
    msgpack_object job;
    msgpack_zone zone;
    enum err e;

    assert_true(msgpack_zone_init(&zone, 1024));
    assert_int_equal(
        json_to_msgpack(SLICE_LIT("{" OUT ",\"auto_orient\":false}"), 16, &shelf.packed, NULL),
        ERR_OK);
    assert_int_equal(json_to_msgpack(slice_str(json), 16, &packed, NULL), ERR_OK);
    assert_int_equal(mp_parse(buf_slice(&packed), &limits, &zone, &job, NULL), ERR_OK);
    e = recipe_expand(&job, &book, &zone, &why);
    if (e == ERR_OK) {
        json_from_msgpack(&job, &out);
        (void)snprintf(ret, cap, "%s", buf_cstr(&out));
    } else {
        (void)snprintf(ret, cap, "%s", why.pointer);
    }
    if (e == ERR_NOT_FOUND)
        assert_true(book.wanted.name[0] != '\0');
    msgpack_zone_destroy(&zone);
    buf_done(&shelf.packed);
    buf_done(&packed);
    buf_done(&out);
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
        cmocka_unit_test(a_body_is_checked_as_args_without_a_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
