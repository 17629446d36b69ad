#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/hash.h"

static char dir[64];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/millrace-hash-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static void digests_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *text, *want;
    } table[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t digest[HASH_LEN];
    char hex[HASH_HEX_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct hash *h = hash_new();

        hash_sha256(table[i].text, strlen(table[i].text), digest);
        assert_string_equal(hex_text(digest, HASH_LEN, hex), table[i].want);
        assert_non_null(h);
        for (const char *p = table[i].text; *p != '\0'; p++)
            hash_add(h, p, 1);
        hash_end(h, digest);
        hash_free(&h);
        assert_null(h);
        hash_free(&h);
        assert_string_equal(hex_text(digest, HASH_LEN, hex), table[i].want);
    }
}

/* RFC 4231, and the empty key. */
static void macs_are_those_of_the_standard(void **state)
{
    static const struct {
        struct slice key, text;
        const char *want;
    } table[] = {
        {{"Jefe", 4},
         {"what do ya want for nothing?", 28},
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {{"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
          20},
         {"Hi There", 8},
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {{NULL, 0},
         {NULL, 0},
         "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    uint8_t mac[HASH_LEN];
    char hex[HASH_HEX_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        hash_hmac_sha256(table[i].key, table[i].text, mac);
        assert_string_equal(hex_text(mac, HASH_LEN, hex), table[i].want);
    }
}

static void a_mac_does_not_remember_the_key_before(void **state)
{
    uint8_t a[HASH_LEN], b[HASH_LEN];

    (void)state;
    hash_hmac_sha256(SLICE_LIT("a key"), SLICE_LIT("text"), a);
    hash_hmac_sha256(SLICE_LIT(""), SLICE_LIT("text"), b);
    assert_false(hash_equal(a, b, HASH_LEN));
    hash_hmac_sha256(SLICE_LIT("a key"), SLICE_LIT("text"), b);
    assert_true(hash_equal(a, b, HASH_LEN));
}

static void write_file(const char *path, size_t len)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        assert_true(fputc('a', f) == 'a');
    assert_int_equal(fclose(f), 0);
}

static void a_file_is_hashed_whole_whatever_its_size(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000};
    char path[96];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/file", dir);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint8_t of_file[HASH_LEN], of_bytes[HASH_LEN];
        char *bytes = malloc(sizes[i] + 1);
        struct fault why = {0};
        uint64_t n = 99;

        assert_non_null(bytes);
        memset(bytes, 'a', sizes[i]);
        write_file(path, sizes[i]);
        assert_int_equal(hash_file(path, of_file, &n, &why), ERR_OK);
        assert_int_equal(n, sizes[i]);
        assert_int_equal(hash_file(path, of_file, NULL, NULL), ERR_OK);
        hash_sha256(bytes, sizes[i], of_bytes);
        assert_memory_equal(of_file, of_bytes, HASH_LEN);
        free(bytes);
    }
    assert_int_equal(unlink(path), 0);
}

static void what_is_no_readable_file_is_refused_and_named(void **state)
{
    uint8_t digest[HASH_LEN];
    struct fault why;
    char path[96];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/none", dir);
    assert_int_equal(hash_file(path, digest, NULL, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(hash_file(dir, digest, NULL, &why), ERR_UNSUPPORTED);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(hash_file(path, digest, NULL, &why), ERR_UNSUPPORTED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hash_file("/dev/zero", digest, NULL, &why), ERR_UNSUPPORTED);
}

/* RFC 4648 10, and bytes that use the whole alphabet's end. */
static const struct {
    struct slice bytes;
    const char *text;
} base64_pairs[] = {
    {{"", 0}, ""},
    {{"f", 1}, "Zg=="},
    {{"fo", 2}, "Zm8="},
    {{"foo", 3}, "Zm9v"},
    {{"foob", 4}, "Zm9vYg=="},
    {{"fooba", 5}, "Zm9vYmE="},
    {{"foobar", 6}, "Zm9vYmFy"},
    {{"\0\0", 2}, "AAA="},
    {{"\xfb\xff\xfe", 3}, "+//+"},
    {{"\xff\xff\xff\xff", 4}, "/////w=="},
};

static void bytes_and_base64_turn_into_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(base64_pairs); i++) {
        struct buf text = {0}, bytes = {0};

        base64_add(&text, base64_pairs[i].bytes);
        assert_string_equal(buf_cstr(&text), base64_pairs[i].text);
        assert_true(base64_decode(slice_str(base64_pairs[i].text), &bytes));
        assert_true(slice_eq(buf_slice(&bytes), base64_pairs[i].bytes));
        buf_done(&text);
        buf_done(&bytes);
    }
}

static void base64_that_is_not_canonical_is_refused_and_leaves_nothing(void **state)
{
    static const char *const table[] = {"Z",        "Zg",       "Zg=",   "Zg===",    "====",
                                        "Zh==",     "Zm9=",     "=Zg=",  "Zg==Zg==", "Zm9v Zm9",
                                        "Zm9vYm-y", "Zm9vYm_y", "Z\ng=", "Zm9v=",    "Z==="};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out = {0};

        buf_add_str(&out, "kept");
        assert_false(base64_decode(slice_str(table[i]), &out));
        assert_string_equal(buf_cstr(&out), "kept");
        buf_done(&out);
    }
    {
        struct buf out = {0};

        assert_false(base64_decode(SLICE_LIT("Zm\09v"), &out));
        assert_false(base64_decode(SLICE_LIT("Zm9\0"), &out));
        buf_done(&out);
    }
}

static void base64_stops_at_the_limit_of_its_buffer(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 3);
    base64_add(&out, SLICE_LIT("f"));
    assert_true(buf_failed(&out));
    buf_clear(&out);
    assert_false(base64_decode(SLICE_LIT("Zm9vYg=="), &out));
    buf_done(&out);
}

static void hex_digits_are_bytes_again_and_nothing_else_is(void **state)
{
    static const char *const wrong[] = {"",     "0",    "00f",  "00fF", "0x0f",  "00 f",
                                        "00fg", "00f/", "00f:", "00f`", "00ff0", "00ff00"};
    uint8_t bytes[2] = {7, 7};

    (void)state;
    assert_true(hex_parse(SLICE_LIT("09af"), bytes, sizeof bytes));
    assert_memory_equal(bytes, "\x09\xaf", 2);
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(hex_parse(slice_str(wrong[i]), bytes, sizeof bytes));
    assert_true(hex_parse(SLICE_LIT(""), bytes, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(macs_are_those_of_the_standard),
        cmocka_unit_test(a_mac_does_not_remember_the_key_before),
        cmocka_unit_test(a_file_is_hashed_whole_whatever_its_size),
        cmocka_unit_test(what_is_no_readable_file_is_refused_and_named),
        cmocka_unit_test(bytes_and_base64_turn_into_each_other),
        cmocka_unit_test(base64_that_is_not_canonical_is_refused_and_leaves_nothing),
        cmocka_unit_test(base64_stops_at_the_limit_of_its_buffer),
        cmocka_unit_test(hex_digits_are_bytes_again_and_nothing_else_is),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
