/* render_help: what the tests of the renderer share: a directory like a renderer's, orders
 * written as JSON, and pictures. For tests named test_render_*, which link libvips. */
#ifndef TESTS_UNIT_RENDER_HELP_H
#define TESTS_UNIT_RENDER_HELP_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vips/vips.h>

#include "tests/unit/render_json.h"
#include "worker/render/child/decode.h"
#include "worker/render/child/self.h"
#include "worker/render/child/vimage.h"
#include "worker/render/child/work.h"

#define UNUSED_OK __attribute__((unused))

struct bytes {
    const void *ptr;
    size_t len;
};

/* --- a renderer's directory, as the working directory
 * ----------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static UNUSED_OK void dir_enter(char dir[64])
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(dir, 64, "%s/render-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("in", 0700), 0);
    assert_int_equal(mkdir("out", 0700), 0);
}

static UNUSED_OK void dir_leave(const char *dir)
{
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED_OK void write_file(const char *path, struct bytes b)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b.ptr, 1, b.len, f), b.len);
    assert_int_equal(fclose(f), 0);
}

/* --- orders
 * ------------------------------------------------------------------------------------ */

static UNUSED_OK void no_progress(void *arg, unsigned pct)
{
    (void)arg;
    (void)pct;
}

static UNUSED_OK void never_slow(void *arg, uint64_t us)
{
    (void)arg;
    (void)us;
    fail_msg("nobody asked what it costs");
}

static UNUSED_OK const struct work_events no_events = {.on_progress = no_progress,
                                                       .on_slow = never_slow};
#define SVG_BYTES 65536

/* json: the args. The source is what stands in in/source. */
static UNUSED_OK enum err run_order(const char *json, struct wire_report *ret)
{
    struct buf args = {0};
    struct wire_order order = {.id = 7,
                               .pixels = 100000000,
                               .output_pixels = 100000000,
                               .frames = 500,
                               .svg_bytes = SVG_BYTES};

    json_pack(json, &args);
    order.args = buf_slice(&args);
    work_run(&order, &no_events, ret);
    buf_done(&args);
    assert_int_equal(ret->id, 7);
    return ret->err;
}

/* outputs: the array. */
static UNUSED_OK enum err render(struct bytes source, const char *outputs,
                                 struct wire_report *ret)
{
    char json[4096];

    write_file(WORK_SOURCE, source);
    (void)snprintf(json, sizeof json, "{'source': {'path': 'x'}, 'outputs': %s}", outputs);
    return run_order(json, ret);
}

/* --- pictures
 * ---------------------------------------------------------------------------------- */

/* To be unreffed. */
static UNUSED_OK VipsImage *open_output(unsigned index)
{
    char path[32];
    VipsImage *im, *m;

    (void)snprintf(path, sizeof path, WORK_OUT "/%u", index);
    im = vips_image_new_from_file(path, NULL);
    if (im == NULL)
        print_error("%s\n", vips_error_buffer());
    assert_non_null(im);
    m = vips_image_copy_memory(im);
    assert_non_null(m);
    g_object_unref(im);
    return m;
}

#define VIPS_OK(call)                                 \
    do {                                              \
        if ((call) != 0) {                            \
            print_error("%s\n", vips_error_buffer()); \
            fail_msg("%s", #call);                    \
        }                                             \
    } while (0)

/* One colour; as many bands as values. */
static UNUSED_OK VipsImage *plain(int w, int h, const double *colour, int bands)
{
    VipsImage *black, *typed, *out;
    double ones[4] = {1, 1, 1, 1};

    VIPS_OK(vips_black(&black, w, h, "bands", bands, NULL));
    VIPS_OK(vips_linear(black, &out, ones, colour, bands, "uchar", TRUE, NULL));
    VIPS_OK(vips_copy(out, &typed, "interpretation",
                      bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL));
    g_object_unref(black);
    g_object_unref(out);
    return typed;
}

/* Takes both; the first to the left. */
static UNUSED_OK VipsImage *beside(VipsImage *left, VipsImage *right)
{
    VipsImage *both;

    VIPS_OK(vips_join(left, right, &both, VIPS_DIRECTION_HORIZONTAL, NULL));
    g_object_unref(left);
    g_object_unref(right);
    return both;
}

/* Takes im, and gives it with a profile of libvips' own: "p3", "srgb", "cmyk". */
static UNUSED_OK VipsImage *profiled(VipsImage *im, const char *name)
{
    VipsImage *copy;
    VipsBlob *blob;
    const void *profile;
    size_t len;

    VIPS_OK(vips_profile_load(name, &blob, NULL));
    profile = vips_blob_get(blob, &len);
    VIPS_OK(vips_copy(im, &copy, NULL));
    vips_image_set_blob_copy(copy, VIPS_META_ICC_NAME, profile, len);
    vips_area_unref(VIPS_AREA(blob));
    g_object_unref(im);
    return copy;
}

/* Quarters: red, green / blue, yellow. */
static UNUSED_OK VipsImage *quarters(int w, int h)
{
    static const double colours[4][3] = {{200, 0, 0}, {0, 200, 0}, {0, 0, 200}, {200, 200, 0}};
    VipsImage *parts[4], *out;

    for (int i = 0; i < 4; i++)
        parts[i] =
            plain(i % 2 == 0 ? w / 2 : w - w / 2, i < 2 ? h / 2 : h - h / 2, colours[i], 3);
    VIPS_OK(vips_arrayjoin(parts, &out, 4, "across", 2, NULL));
    for (int i = 0; i < 4; i++)
        g_object_unref(parts[i]);
    VIPS_OK(vips_extract_area(out, &parts[0], 0, 0, w, h, NULL));
    g_object_unref(out);
    return parts[0];
}

/* The colour in the middle of a quarter: x, y of 0 or 1. */
static UNUSED_OK void quarter_colour(VipsImage *im, int x, int y, double ret[4])
{
    double *point;
    int n;

    VIPS_OK(vips_getpoint(im, &point, &n, im->Xsize * (1 + 2 * x) / 4,
                          im->Ysize * (1 + 2 * y) / 4, NULL));
    for (int i = 0; i < 4; i++)
        ret[i] = i < n ? point[i] : 0;
    g_free(point);
}

/* 'r' 'g' 'b' 'y', or '?' */
static UNUSED_OK char quarter_name(VipsImage *im, int x, int y)
{
    double c[4];
    bool r, g, b;

    quarter_colour(im, x, y, c);
    r = c[0] > 150;
    g = c[1] > 150;
    b = c[2] > 150;
    if (r && g)
        return 'y';
    return (char)(r ? 'r' : g ? 'g' : b ? 'b' : '?');
}

#define assert_near(got, want, by)                              \
    do {                                                        \
        double got_ = (got), want_ = (want);                    \
        if (got_ < want_ - (by) || got_ > want_ + (by))         \
            fail_msg("%s is %g and not %g", #got, got_, want_); \
    } while (0)

/* Encodes as a file of that suffix, "jpg[Q=90]"; to be freed with g_free. */
static UNUSED_OK struct bytes encode(VipsImage *im, const char *suffix)
{
    struct bytes b;
    void *p;
    char name[128];

    (void)snprintf(name, sizeof name, ".%s", suffix);
    VIPS_OK(vips_image_write_to_buffer(im, name, &p, &b.len, NULL));
    b.ptr = p;
    return b;
}

static UNUSED_OK void bytes_free(struct bytes b)
{
    g_free((void *)(uintptr_t)b.ptr);
}

/* Takes source; gives the first output. */
static UNUSED_OK VipsImage *render_one(VipsImage *source, const char *suffix,
                                       const char *output)
{
    struct bytes b = encode(source, suffix);
    struct wire_report r;
    char outputs[1024];
    VipsImage *im;

    (void)snprintf(outputs, sizeof outputs, "[{'name': 'a', %s}]", output);
    if (render(b, outputs, &r) != ERR_OK)
        fail_msg("%s, %s: %s %s", suffix, output, err_name(r.err), r.text);
    bytes_free(b);
    g_object_unref(source);
    im = open_output(0);
    assert_int_equal(im->Xsize, r.outputs[0].width);
    assert_int_equal(im->Ysize, r.outputs[0].height);
    return im;
}

static UNUSED_OK void check_point(VipsImage *im, int x, int y, const double *want, int bands,
                                  double by)
{
    double *point;
    int n;

    VIPS_OK(vips_getpoint(im, &point, &n, x, y, NULL));
    if (n != bands)
        fail_msg("%d bands and not %d", n, bands);
    for (int i = 0; i < n; i++) {
        if (point[i] < want[i] - by || point[i] > want[i] + by)
            fail_msg("band %d at %d,%d is %g and not %g", i, x, y, point[i], want[i]);
    }
    g_free(point);
}

/* --- a test with a directory of its own
 * -------------------------------------------------------- */

static char help_dir[64];

static UNUSED_OK int enter(void **state)
{
    (void)state;
    dir_enter(help_dir);
    return 0;
}

static UNUSED_OK int leave(void **state)
{
    (void)state;
    dir_leave(help_dir);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

/* As the renderer starts it. */
static UNUSED_OK bool start_vips(const char *program)
{
    (void)setenv("VIPS_WARNING", "0", 1);
    if (VIPS_INIT(program) != 0)
        return false;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    decode_allow_list(true);
    self_open();
    return true;
}

/* All there is in a main() but the tests. */
#define RENDER_TESTS(...)                                 \
    int main(int argc, char **argv)                       \
    {                                                     \
        const struct CMUnitTest tests[] = {__VA_ARGS__};  \
                                                          \
        (void)argc;                                       \
        if (!start_vips(argv[0]))                         \
            return 1;                                     \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#endif
