#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/spec.h"
#include "worker/handler.h"

static void every_type_that_can_be_enqueued_has_a_handler(void **state)
{
    size_t n;
    const struct spec_type *types = spec_table(&n);

    (void)state;
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const struct handler *h = handler_find(types[i].name);

        if (h == NULL)
            fail_msg("no handler for %s", types[i].name);
        assert_string_equal(h->type, types[i].name);
        assert_non_null(h->start);
        assert_non_null(h->stop);
    }
}

static void other_names_have_none(void **state)
{
    static const char *const names[] = {"", "imag", "images", "Image", "malformed"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_null(handler_find(names[i]));
}

static void only_pictures_need_renderers(void **state)
{
    (void)state;
    assert_true(handler_find("image")->uses_renderer);
    assert_false(handler_find("noop")->uses_renderer);
    assert_false(handler_find("webhook")->uses_renderer);
    assert_false(handler_find("email")->uses_renderer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_that_can_be_enqueued_has_a_handler),
        cmocka_unit_test(other_names_have_none),
        cmocka_unit_test(only_pictures_need_renderers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
