/* pool_help: what the tests of the pool share: a loop, a spool directory, orders written as
 * JSON, a PNG made by hand, and how orders ended. For tests named test_pool*, which do not
 * link libvips. */
#ifndef TESTS_UNIT_POOL_HELP_H
#define TESTS_UNIT_POOL_HELP_H

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/render_json.h"
#include "worker/render/pool.h"

#define UNUSED_OK __attribute__((unused))
#define PATIENCE  120 /* seconds: a test that hangs is ended by SIGALRM */

struct rig {
    uv_loop_t loop;
    char dir[64], spool[80], source[96], program[PATH_MAX];
    struct metrics *metrics;
    struct render_pool *pool;
    unsigned idle_calls;
    bool closed;
};

/* One order and its end. */
struct ended {
    struct rig *rig;
    struct render_ticket *ticket;
    bool done;
    enum err err;
    struct fault why;
    struct render_report report;
    struct render_output outputs[8]; /* paths are to be freed */
    unsigned progress, progress_calls;
};

/* --- directories
 * ------------------------------------------------------------------------------- */

static UNUSED_OK int help_remove_one(const char *path, const struct stat *st, int kind,
                                     struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static UNUSED_OK unsigned count_entries(const char *dir, const char *sub)
{
    char path[PATH_MAX];
    unsigned n = 0;
    const struct dirent *e;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/%s", dir, sub);
    d = opendir(path);
    if (d == NULL)
        return 0;
    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static UNUSED_OK void put_file(const char *path, struct slice s)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(s.ptr, 1, s.len, f), s.len);
    assert_int_equal(fclose(f), 0);
}

static UNUSED_OK struct slice get_file(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    char block[4096];
    size_t n;

    assert_non_null(f);
    buf_clear(b);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_add(b, block, n);
    (void)fclose(f);
    return buf_slice(b);
}

/* --- a picture
 * --------------------------------------------------------------------------------- */

static UNUSED_OK void png_be32(struct buf *b, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_char(b, (char)(v >> shift));
}

static UNUSED_OK uint32_t png_crc(const char *bytes, size_t n)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static UNUSED_OK void png_chunk(struct buf *b, const char *type, struct slice data)
{
    size_t at = b->len + 4;

    png_be32(b, (uint32_t)data.len);
    buf_add(b, type, 4);
    buf_add_slice(b, data);
    png_be32(b, png_crc(b->data + at, b->len - at));
}

/* Rows of soft colours with some grain, as stored blocks: no compressor needed. */
static UNUSED_OK void png_rows(struct buf *raw, unsigned w, unsigned h)
{
    uint32_t seed = 1;

    for (unsigned y = 0; y < h; y++) {
        buf_add_char(raw, 0);
        for (unsigned x = 0; x < w; x++) {
            seed = seed * 1664525u + 1013904223u;
            buf_add_char(raw, (char)(x * 200 / w + (seed >> 28)));
            buf_add_char(raw, (char)(y * 200 / h + (seed >> 28)));
            buf_add_char(raw, (char)(128 + (seed >> 28)));
        }
    }
}

static UNUSED_OK void png_deflate(struct buf *out, struct slice raw)
{
    uint32_t a = 1, b = 0;

    buf_add(out, "\x78\x01", 2);
    for (size_t at = 0; at < raw.len; at += 65535) {
        size_t n = raw.len - at < 65535 ? raw.len - at : 65535;

        buf_add_char(out, at + n == raw.len);
        buf_add_char(out, (char)n);
        buf_add_char(out, (char)(n >> 8));
        buf_add_char(out, (char)~n);
        buf_add_char(out, (char)(~n >> 8));
        buf_add(out, raw.ptr + at, n);
    }
    for (size_t i = 0; i < raw.len; i++) {
        a = (a + (uint8_t)raw.ptr[i]) % 65521;
        b = (b + a) % 65521;
    }
    png_be32(out, b << 16 | a);
}

static UNUSED_OK void put_png(const char *path, unsigned w, unsigned h)
{
    struct buf png = {0}, head = {0}, raw = {0}, data = {0};

    buf_add(&png, "\x89PNG\r\n\x1a\n", 8);
    png_be32(&head, w);
    png_be32(&head, h);
    buf_add(&head, "\x08\2\0\0\0", 5);
    png_chunk(&png, "IHDR", buf_slice(&head));
    png_rows(&raw, w, h);
    png_deflate(&data, buf_slice(&raw));
    png_chunk(&png, "IDAT", buf_slice(&data));
    png_chunk(&png, "IEND", slice_of("", 0));
    assert_false(buf_failed(&png));
    put_file(path, buf_slice(&png));
    buf_done(&png);
    buf_done(&head);
    buf_done(&raw);
    buf_done(&data);
}

/* --- the rig
 * ----------------------------------------------------------------------------------- */

/* Beside the tests in the build tree, unless MILLRACE_RENDER says otherwise. */
static UNUSED_OK void find_program(char ret[PATH_MAX])
{
    const char *given = getenv("MILLRACE_RENDER");
    char self[PATH_MAX - 64] = "";

    if (given != NULL) {
        (void)snprintf(ret, PATH_MAX, "%s", given);
        return;
    }
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    *strrchr(self, '/') = '\0';
    (void)snprintf(ret, PATH_MAX, "%s/../../millrace-render", self);
}

static UNUSED_OK int rig_set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(r);
    (void)alarm(PATIENCE);
    (void)snprintf(r->dir, sizeof r->dir, "%s/pool-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->spool, sizeof r->spool, "%s/spool", r->dir);
    assert_int_equal(mkdir(r->spool, 0700), 0);
    (void)snprintf(r->source, sizeof r->source, "%s/source", r->dir);
    find_program(r->program);
    r->metrics = metrics_new();
    assert_int_equal(uv_loop_init(&r->loop), 0);
    (void)unsetenv("MILLRACE_FAILPOINTS");
    *state = r;
    return 0;
}

static UNUSED_OK void on_rig_idle(void *arg)
{
    struct rig *r = arg;

    r->idle_calls++;
}

static UNUSED_OK void on_rig_closed(void *arg)
{
    struct rig *r = arg;

    r->closed = true;
}

/* opt: what differs from the rig's own. */
static UNUSED_OK void rig_open(struct rig *r, struct render_pool_options opt)
{
    struct fault why = {0};

    opt.program = opt.program == NULL ? r->program : opt.program;
    opt.spool_dir = r->spool;
    opt.renderers = opt.renderers == 0 ? 1 : opt.renderers;
    opt.metrics = r->metrics;
    if (render_pool_new(&r->loop, &opt, &r->pool, &why) != ERR_OK)
        fail_msg("%s", why.text);
    render_pool_start(r->pool, on_rig_idle, r);
}

/* Ends the pool and looks whether anything is left: a file, a process, a handle. */
static UNUSED_OK void rig_close(struct rig *r)
{
    if (r->pool != NULL) {
        render_pool_close(&r->pool, on_rig_closed, r);
        assert_null(r->pool);
        while (!r->closed)
            (void)uv_run(&r->loop, UV_RUN_ONCE);
        assert_int_equal(count_entries(r->spool, "out"), 0);
        assert_int_equal(count_entries(r->spool, "."), 1); /* out itself */
    }
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, not even a dead one */
}

static UNUSED_OK int rig_tear_down(void **state)
{
    struct rig *r = *state;

    rig_close(r);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_int_equal(nftw(r->dir, help_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    metrics_free(&r->metrics);
    (void)unsetenv("MILLRACE_FAILPOINTS");
    (void)alarm(0);
    free(r);
    return 0;
}

static UNUSED_OK uint64_t count_of(struct rig *r, const char *name, const char *labels)
{
    return metrics_counter(r->metrics, name, labels, "")->value;
}

/* state: busy, idle. */
static UNUSED_OK int64_t gauge_of(struct rig *r, const char *state)
{
    char labels[32];

    (void)snprintf(labels, sizeof labels, "state=\"%s\"", state);
    return metrics_gauge(r->metrics, "millrace_renderers", labels, "")->value;
}

/* --- orders ---------------------------------------------------------------------------------- */

static UNUSED_OK void on_order_done(void *arg, enum err e, const struct render_report *report,
                                    const struct fault *why)
{
    struct ended *d = arg;

    assert_false(d->done);
    assert_true((e == ERR_OK) == (report != NULL) && (e == ERR_OK) == (why == NULL));
    d->done = true;
    d->err = e;
    if (why != NULL)
        d->why = *why;
    if (report == NULL)
        return;
    assert_true(report->n_outputs <= COUNT_OF(d->outputs));
    d->report = *report;
    for (size_t i = 0; i < report->n_outputs; i++) {
        d->outputs[i] = report->outputs[i];
        d->outputs[i].path = strdup(report->outputs[i].path);
    }
}

static UNUSED_OK void on_order_progress(void *arg, unsigned pct)
{
    struct ended *d = arg;

    assert_false(d->done);
    assert_true(pct > d->progress && pct < 100);
    d->progress = pct;
    d->progress_calls++;
}

static UNUSED_OK enum err try_order(struct rig *r, struct ended *d, const char *outputs,
                                    uint32_t timeout_ms, struct fault *why)
{
    static const struct uuid job = {
        {1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}};
    struct render_order order = {
        .job = &job, .attempt = 2, .source_path = r->source, .timeout_ms = timeout_ms};
    struct buf args = {0};
    char json[2048];
    enum err e;

    *d = (struct ended){.rig = r};
    (void)snprintf(json, sizeof json, "{'source': {'path': 'x'}, 'outputs': %s}", outputs);
    json_pack(json, &args);
    order.args = buf_slice(&args);
    e = render_pool_run(r->pool, &order, on_order_progress, on_order_done, d, &d->ticket, why);
    buf_done(&args);
    assert_false(d->done); /* never from inside */
    return e;
}

static UNUSED_OK void give_order(struct rig *r, struct ended *d, const char *outputs,
                                 uint32_t timeout_ms)
{
    struct fault why = {0};

    if (try_order(r, d, outputs, timeout_ms, &why) != ERR_OK)
        fail_msg("%s", why.text);
}

static UNUSED_OK void wait_for(struct ended *d)
{
    while (!d->done)
        (void)uv_run(&d->rig->loop, UV_RUN_ONCE);
}

/* Removes the files that an order gave. */
static UNUSED_OK void drop(struct ended *d)
{
    for (size_t i = 0; i < d->report.n_outputs; i++) {
        assert_int_equal(unlink(d->outputs[i].path), 0);
        free(d->outputs[i].path);
    }
    d->report.n_outputs = 0;
}

#define SMALL   "[{'name': 'a', 'ops': [{'resize': {'width': 32}}], 'format': 'jpeg'}]"
#define TIMEOUT 60000

/* One order to its end, which must be this. */
static UNUSED_OK void expect_order(struct rig *r, const char *outputs, uint32_t timeout_ms,
                                   enum err want, const char *text)
{
    struct ended d;

    give_order(r, &d, outputs, timeout_ms);
    wait_for(&d);
    if (d.err != want || strstr(d.why.text, text) == NULL)
        fail_msg("%s: \"%s\" and not %s: \"%s\"", err_name(d.err), d.why.text, err_name(want),
                 text);
    drop(&d);
}

#endif
