#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "tests/unit/render_json.h"
#include "worker/render/wire.h"

/* The one frame in b, as its reader sees it. */
static enum err read_back(const struct buf *b, struct wire_msg *ret)
{
    size_t len = 0;

    assert_false(buf_failed(b));
    assert_true(b->len > WIRE_HEAD);
    assert_int_equal(wire_body_len(b->data, &len), ERR_OK);
    assert_int_equal(len, b->len - WIRE_HEAD);
    return wire_decode(slice_of(b->data + WIRE_HEAD, len), ret, NULL);
}

static void hello_is_read_as_written(void **state)
{
    struct wire_hello m = {.version = WIRE_VERSION, .landlock = 7, .vips = "8.18.7"};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_hello(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.kind, WIRE_HELLO);
    assert_int_equal(got.u.hello.version, WIRE_VERSION);
    assert_int_equal(got.u.hello.landlock, 7);
    assert_string_equal(got.u.hello.vips, "8.18.7");
    buf_done(&b);
}

static void order_is_read_as_written(void **state)
{
    struct wire_order m = {.id = UINT64_MAX,
                           .pixels = 1,
                           .output_pixels = 2,
                           .slow_us = 3,
                           .wide = true,
                           .args = SLICE_LIT("\x80")};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_order(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.kind, WIRE_ORDER);
    assert_true(got.u.order.id == UINT64_MAX);
    assert_int_equal(got.u.order.pixels, 1);
    assert_int_equal(got.u.order.output_pixels, 2);
    assert_int_equal(got.u.order.slow_us, 3);
    assert_true(got.u.order.wide);
    assert_true(slice_is(got.u.order.args, "\x80"));
    buf_done(&b);
}

static void what_is_slow_is_read_as_written(void **state)
{
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_slow(&b, &(struct wire_slow){.id = 9, .us = UINT64_MAX});
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.kind, WIRE_SLOW);
    assert_int_equal(got.u.slow.id, 9);
    assert_true(got.u.slow.us == UINT64_MAX);
    buf_done(&b);
}

static void the_largest_args_fit_and_larger_do_not(void **state)
{
    char *args = calloc(1, WIRE_BODY_MAX);
    struct wire_order m = {.args = {args, JOB_ITEM_MAX}};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    assert_non_null(args);
    wire_add_order(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    buf_clear(&b);
    m.args.len = WIRE_BODY_MAX;
    wire_add_order(&b, &m);
    assert_true(buf_failed(&b));
    buf_done(&b);
    free(args);
}

static void progress_is_read_as_written(void **state)
{
    struct wire_progress m = {.id = 9, .pct = 100};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_progress(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.kind, WIRE_PROGRESS);
    assert_int_equal(got.u.progress.id, 9);
    assert_int_equal(got.u.progress.pct, 100);
    buf_clear(&b);
    m.pct = 101;
    wire_add_progress(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_MALFORMED);
    buf_done(&b);
}

/* --- descriptions ---------------------------------------------------------------------------- */

static void fill_info(struct wire_info *info)
{
    *info = (struct wire_info){.pages = 3,
                               .orientation = 8,
                               .bits = 16,
                               .has_alpha = true,
                               .space = "rgb16",
                               .blurhash = "LDG[=o2}",
                               .thumbhash = "3AgOHQ==",
                               .dhash = "ffffffffffffffff",
                               .phash = "803f79676c595235",
                               .n_colours = WIRE_COLOURS_MAX,
                               .n_exif = WIRE_EXIF_MAX};
    for (uint32_t i = 0; i < WIRE_COLOURS_MAX; i++)
        info->colours[i] = (struct wire_colour){{(uint8_t)i, 171, 205}, 1000 - i};
    for (unsigned i = 0; i < WIRE_EXIF_MAX; i++) {
        (void)snprintf(info->exif[i].name, sizeof info->exif[i].name, "Tag%u", i);
        memset(info->exif[i].value, 'v', sizeof info->exif[i].value - 1);
    }
}

static void a_full_description_is_read_as_written(void **state)
{
    struct wire_report *m = calloc(1, sizeof *m);
    struct wire_msg *got = calloc(1, sizeof *got);
    struct buf b = {0};
    (void)state;

    assert_true(m != NULL && got != NULL);
    m->has_info = true;
    fill_info(&m->info);
    wire_add_report(&b, m);
    assert_int_equal(read_back(&b, got), ERR_OK);
    assert_true(got->u.report.has_info);
    assert_memory_equal(&got->u.report.info, &m->info, sizeof m->info);
    buf_done(&b);
    free(m);
    free(got);
}

/* One of the texts is none, or a number is out of range. */
static void check_refused(void (*spoil)(struct wire_info *info))
{
    struct wire_report *m = calloc(1, sizeof *m);
    struct wire_msg *got = calloc(1, sizeof *got);
    struct buf b = {0};

    assert_true(m != NULL && got != NULL);
    m->has_info = true;
    fill_info(&m->info);
    spoil(&m->info);
    wire_add_report(&b, m);
    assert_int_equal(read_back(&b, got), ERR_MALFORMED);
    buf_done(&b);
    free(m);
    free(got);
}

static void spoil_share(struct wire_info *info)
{
    info->colours[0].share = 1001;
}

static void spoil_text(struct wire_info *info)
{
    memcpy(info->exif[0].value, "\xff\xfe", 3);
}

static void spoil_name(struct wire_info *info)
{
    memcpy(info->exif[0].name, info->exif[1].name, sizeof info->exif[0].name);
}

static void a_description_that_lies_is_refused(void **state)
{
    (void)state;
    check_refused(spoil_share);
    check_refused(spoil_text);
    check_refused(spoil_name);
}

static void a_full_report_is_read_as_written(void **state)
{
    struct wire_report m = {.id = 3,
                            .source_format = IMAGE_GIF,
                            .source_width = 65535,
                            .source_height = 1,
                            .n_outputs = WIRE_OUTPUTS_MAX,
                            .cpu_us = 12,
                            .peak_rss = 1ull << 40,
                            .rss = 5};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    for (uint32_t i = 0; i < WIRE_OUTPUTS_MAX; i++)
        m.outputs[i] =
            (struct wire_output){i, IMAGE_AVIF, UINT32_MAX, i + 1, i, 100, UINT64_MAX};
    wire_add_report(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.kind, WIRE_REPORT);
    assert_int_equal(got.u.report.err, ERR_OK);
    assert_int_equal(got.u.report.source_format, IMAGE_GIF);
    assert_int_equal(got.u.report.source_width, 65535);
    assert_true(got.u.report.peak_rss == 1ull << 40);
    assert_int_equal(got.u.report.n_outputs, WIRE_OUTPUTS_MAX);
    assert_int_equal(got.u.report.outputs[31].index, 31);
    assert_int_equal(got.u.report.outputs[31].format, IMAGE_AVIF);
    assert_true(got.u.report.outputs[31].width == UINT32_MAX);
    assert_int_equal(got.u.report.outputs[31].height, 32);
    assert_true(got.u.report.outputs[31].bytes == UINT64_MAX);
    buf_done(&b);
}

static void a_failed_report_says_why_in_printable_words(void **state)
{
    struct wire_report m = {
        .id = 3, .err = ERR_TOO_BIG, .text = "a\nb\033[31m \xc3\xbc", .cpu_us = 4};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_report(&b, &m);
    assert_int_equal(read_back(&b, &got), ERR_OK);
    assert_int_equal(got.u.report.err, ERR_TOO_BIG);
    assert_string_equal(got.u.report.text, "a?b?[31m ??");
    assert_int_equal(got.u.report.cpu_us, 4);
    assert_int_equal(got.u.report.n_outputs, 0);
    buf_done(&b);
}

static void the_crash_message_made_by_hand_is_a_message(void **state)
{
    uint8_t frame[WIRE_CRASH_SIZE];
    struct wire_crash m = {.signal = SIGSEGV, .peak_vm = UINT64_MAX, .peak_rss = 1};
    struct wire_msg got;
    size_t len = 0, n = wire_put_crash(frame, &m);
    (void)state;

    assert_true(n <= sizeof frame);
    assert_int_equal(wire_body_len((const char *)frame, &len), ERR_OK);
    assert_int_equal(len, n - WIRE_HEAD);
    assert_int_equal(wire_decode(slice_of(frame + WIRE_HEAD, len), &got, NULL), ERR_OK);
    assert_int_equal(got.kind, WIRE_CRASH);
    assert_int_equal(got.u.crash.signal, SIGSEGV);
    assert_true(got.u.crash.peak_vm == UINT64_MAX);
    assert_int_equal(got.u.crash.peak_rss, 1);
}

static const struct {
    struct slice head;
    enum err want;
} heads[] = {
    {SLICE_LIT("\0\0\0\1"), ERR_OK},        {SLICE_LIT("\0\4\x10\0"), ERR_OK},
    {SLICE_LIT("\0\4\x10\1"), ERR_TOO_BIG}, {SLICE_LIT("\xff\xff\xff\xff"), ERR_TOO_BIG},
    {SLICE_LIT("\0\0\0\0"), ERR_MALFORMED},
};

static void lengths_are_bounded(void **state)
{
    size_t len;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        assert_int_equal(wire_body_len(heads[i].head.ptr, &len), heads[i].want);
}

/* Bodies as JSON: each lacks, twists or overdoes something. */
static const char *const broken[] = {
    "7",
    "[]",
    "{}",
    "{'m': 1}",
    "{'m': 'goodbye'}",
    "{'m': 'hello', 'version': 1, 'landlock': 1}",
    "{'m': 'hello', 'version': -1, 'landlock': 1, 'vips': 'x'}",
    "{'m': 'hello', 'version': 4294967296, 'landlock': 1, 'vips': 'x'}",
    "{'m': 'hello', 'version': 1, 'landlock': 1, 'vips': 8}",
    "{'m': 'order', 'id': 1, 'pixels': 1, 'output_pixels': 1, 'args': 'text'}",
    "{'m': 'order', 'id': 1, 'pixels': 1, 'output_pixels': 1}",
    "{'m': 'progress', 'id': 1}",
    "{'m': 'progress', 'pct': 1}",
    "{'m': 'progress', 'id': 1, 'pct': 50.5}",
    "{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1}",
    "{'m': 'report', 'id': 1, 'err': 'TIMEOUT', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1}",
    "{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1, "
    "'source_format': 'bmp',"
    " 'source_width': 1, 'source_height': 1, 'outputs': []}",
    "{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1, "
    "'source_format': 'jpeg',"
    " 'source_width': 1, 'source_height': 1, 'outputs': {}}",
    "{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1, "
    "'source_format': 'jpeg',"
    " 'source_width': 1, 'source_height': 1, 'outputs': [1]}",
    "{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1, "
    "'source_format': 'jpeg',"
    " 'source_width': 1, 'source_height': 1, 'outputs': [{'index': 0, 'format': 'jpeg', "
    "'width': 1, 'height': 1}]}",
    "{'m': 'crash', 'signal': 11, 'peak_vm': 1}",
};

static void messages_that_lack_something_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct buf b = {0};
        struct fault why = {0};
        struct wire_msg got;

        json_pack(broken[i], &b);
        if (wire_decode(buf_slice(&b), &got, &why) != ERR_MALFORMED || why.text[0] == '\0')
            fail_msg("taken: %s (%s)", broken[i], why.text);
        buf_done(&b);
    }
}

static void no_prefix_of_a_message_is_a_message(void **state)
{
    struct wire_report m = {.id = 3, .source_format = IMAGE_PNG, .n_outputs = 1};
    struct buf b = {0};
    struct wire_msg got;
    (void)state;

    wire_add_report(&b, &m);
    for (size_t n = 0; n + WIRE_HEAD < b.len; n++)
        assert_int_not_equal(wire_decode(slice_of(b.data + WIRE_HEAD, n), &got, NULL), ERR_OK);
    buf_done(&b);
}

static void more_outputs_than_there_can_be_are_refused(void **state)
{
    struct buf b = {0};
    struct wire_msg got;
    msgpack_packer pk;
    (void)state;

    json_pack("{'m': 'report', 'id': 1, 'err': 'OK', 'cpu_us': 1, 'peak_rss': 1, 'rss': 1, "
              "'source_format': 'jpeg',"
              " 'source_width': 1, 'source_height': 1, 'outputs': []}",
              &b);
    buf_truncate(&b, b.len - 1);
    mp_packer(&pk, &b);
    msgpack_pack_array(&pk, WIRE_OUTPUTS_MAX + 1);
    for (int i = 0; i <= WIRE_OUTPUTS_MAX; i++)
        json_pack("{'index': 0, 'format': 'jpeg', 'width': 1, 'height': 1, 'bytes': 1}", &b);
    assert_int_equal(wire_decode(buf_slice(&b), &got, NULL), ERR_MALFORMED);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_is_read_as_written),
        cmocka_unit_test(order_is_read_as_written),
        cmocka_unit_test(what_is_slow_is_read_as_written),
        cmocka_unit_test(the_largest_args_fit_and_larger_do_not),
        cmocka_unit_test(progress_is_read_as_written),
        cmocka_unit_test(a_full_report_is_read_as_written),
        cmocka_unit_test(a_full_description_is_read_as_written),
        cmocka_unit_test(a_description_that_lies_is_refused),
        cmocka_unit_test(a_failed_report_says_why_in_printable_words),
        cmocka_unit_test(the_crash_message_made_by_hand_is_a_message),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(messages_that_lack_something_are_refused),
        cmocka_unit_test(no_prefix_of_a_message_is_a_message),
        cmocka_unit_test(more_outputs_than_there_can_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
