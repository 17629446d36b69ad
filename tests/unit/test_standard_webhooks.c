#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/notify/standard_webhooks.h"

static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

static struct webhook_secret key_of(const char *text)
{
    struct webhook_secret key;
    struct fault why = {.text = ""};

    if (webhook_secret_parse(text, &key, &why) != ERR_OK)
        fail_msg("%s", why.text);
    return key;
}

static void the_published_example_gives_the_published_signature(void **state)
{
    struct webhook_secret key = key_of(secret);
    struct buf out = {0};

    (void)state;
    webhook_sign(&key, 1, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                 SLICE_LIT("{\"test\": 2432232314}"), &out);
    assert_string_equal(buf_cstr(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    buf_done(&out);
}

static void each_secret_gives_one_signature_in_order(void **state)
{
    struct webhook_secret keys[2] = {key_of(secret),
                                     key_of("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
    struct buf both = {0}, second = {0};

    (void)state;
    webhook_sign(keys, 2, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                 SLICE_LIT("{\"test\": 2432232314}"), &both);
    webhook_sign(&keys[1], 1, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                 SLICE_LIT("{\"test\": 2432232314}"), &second);
    assert_memory_equal(buf_cstr(&both), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,",
                        51);
    assert_string_equal(buf_cstr(&both) + 48, buf_cstr(&second));
    buf_done(&both);
    buf_done(&second);
}

static void a_signature_that_does_not_fit_marks_the_buffer(void **state)
{
    struct webhook_secret key = key_of(secret);
    struct buf out = {.limit = 20};

    (void)state;
    webhook_sign(&key, 1, "msg", 1, SLICE_LIT("{}"), &out);
    assert_true(buf_failed(&out));
    buf_done(&out);
}

static void secrets_of_24_to_64_bytes_are_taken_and_no_others(void **state)
{
    static const struct {
        const char *text;
        size_t want; /* 0: refused */
    } table[] = {
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 24},
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 32},
        {"whsec_"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "A==",
         64},
        {"whsec_"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AA=",
         0},                                           /* 65 */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0}, /* 23 */
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0},
        {"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", 0},
        {"whsec_", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct webhook_secret key = {.len = 0};
        struct fault why = {.text = ""};
        enum err e = webhook_secret_parse(table[i].text, &key, &why);

        if (e != (table[i].want == 0 ? ERR_MALFORMED : ERR_OK) || key.len != table[i].want)
            fail_msg("%s: %s, %zu bytes", table[i].text, err_name(e), key.len);
        assert_null(strstr(why.text, "MfKQ9r8GKYqr"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_example_gives_the_published_signature),
        cmocka_unit_test(each_secret_gives_one_signature_in_order),
        cmocka_unit_test(a_signature_that_does_not_fit_marks_the_buffer),
        cmocka_unit_test(secrets_of_24_to_64_bytes_are_taken_and_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
