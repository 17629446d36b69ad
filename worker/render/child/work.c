#include "worker/render/child/work.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/failpoint.h"
#include "worker/render/child/cost.h"
#include "worker/render/child/ops_kit.h"
#include "worker/render/child/self.h"
#include "worker/render/child/vfault.h"
#include "worker/render/child/work_state.h"

#define PROGRESS_MS 100

/* --- progress ------------------------------------------------------------------------------ */

static void tell_progress(struct work *w, unsigned percent_of_phase)
{
    unsigned pct = (w->phase * 100 + percent_of_phase) / w->phases;
    uint64_t now = clock_now_ms();

    if (pct <= w->last_pct || pct > 99 || now - w->last_ms < PROGRESS_MS)
        return;
    w->last_pct = pct;
    w->last_ms = now;
    w->ev->on_progress(w->ev->arg, pct);
}

/* libvips calls this in the thread that evaluates, which is ours. */
static void on_eval(VipsImage *im, VipsProgress *progress, gpointer arg)
{
    (void)im;
    tell_progress(arg, progress->percent < 0     ? 0
                       : progress->percent > 100 ? 100
                                                 : (unsigned)progress->percent);
}

/* Whatever is computed from this image reports through it. */
static void watch(struct work *w, VipsImage *im)
{
    vips_image_set_progress(im, TRUE);
    g_signal_connect(im, "eval", G_CALLBACK(on_eval), w);
}

void work_end_phase(struct work *w)
{
    tell_progress(w, 100);
    w->phase++;
}

/* --- source -------------------------------------------------------------------------------- */

static enum err map_fd(int fd, struct slice *ret, struct fault *reterr)
{
    struct stat st;
    void *map;

    if (fstat(fd, &st) != 0)
        return fault_set(reterr, ERR_IO, errno, "source: %s", err_errno(errno));
    if (st.st_size == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "the source is empty");
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return fault_set(reterr, errno == ENOMEM ? ERR_NOMEM : ERR_IO, errno, "source: %s",
                         err_errno(errno));
    *ret = slice_of(map, (size_t)st.st_size);
    return ERR_OK;
}

enum err work_map(const char *path, struct slice *ret, struct fault *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum err e;

    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "source: %s", err_errno(errno));
    e = map_fd(fd, ret, reterr);
    (void)close(fd);
    return e;
}

void work_unmap(struct slice *file)
{
    if (file->ptr != NULL)
        (void)munmap((void *)(uintptr_t)file->ptr, file->len);
    file->ptr = NULL;
}

static enum err parse_args(struct work *w, struct fault *reterr)
{
    static const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = 10000, .max_bytes = JOB_ITEM_MAX};
    struct spec_fault why;
    msgpack_object args;
    enum err e = mp_parse(w->order->args, &limits, &w->zone, &args, reterr);

    if (e != ERR_OK)
        return e;
    e = spec_image_any_parse(&args, "/args", &w->spec, &why);
    return e == ERR_OK ? ERR_OK : fault_set(reterr, e, 0, "%s: %s", why.pointer, why.text);
}

struct probe_limits work_limits(const struct work *w)
{
    return (struct probe_limits){.pixels = w->order->pixels, .svg_bytes = w->order->svg_bytes};
}

unsigned work_orientation(const struct work *w)
{
    return w->spec.auto_orient ? w->decode.orientation : 1;
}

/* --- plan and base -------------------------------------------------------------------------- */

/* How many frames there are to be seen: 1, unless the file is one that moves, and nobody asked for
 * one page of it. */
static uint32_t count_frames(const struct work *w)
{
    bool moves = image_format_moves(w->decode.format) && !w->spec.still && !w->spec.has_page;

    return moves ? w->decode.pages : 1;
}

/* A drawing has no pixels of its own, so a resize that comes first may ask for any number of them: it is drawn
 * that large, and no kernel is needed. */
static void let_grow(struct spec_image *spec)
{
    for (size_t i = 0; i < spec->n_outputs; i++) {
        struct image_output *o = &spec->outputs[i];

        if (o->n_ops == 0 || o->ops[0].kind != IMAGE_OP_RESIZE)
            continue;
        o->ops[0].u.resize.enlarge = true;
        o->ops[0].u.resize.kernel = IMAGE_KERNEL_AUTO;
    }
}

static enum err plan_work(struct work *w, struct fault *reterr)
{
    struct plan_size stored = {w->decode.width, w->decode.height};
    struct plan_source source = {.displayed = plan_upright(stored, work_orientation(w)),
                                 .format = w->decode.format,
                                 .frames = count_frames(w),
                                 .output_pixels = w->order->output_pixels};
    enum err e;

    w->displayed = source.displayed;
    if (w->decode.format == IMAGE_SVG)
        let_grow(&w->spec);
    e = plan_make(&w->spec, &source, &w->plan, reterr);
    if (e == ERR_OK && w->plan.moves && source.frames > w->order->frames)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "the source has %u frames, the limit is %llu (SOURCE_FRAMES)",
                         source.frames, (unsigned long long)w->order->frames);
    w->frames = source.frames;
    return e;
}

/* As stored. The small picture of a description comes from the base, too. */
static struct plan_size least_base(const struct work *w)
{
    struct plan_size least = w->plan.least;

    if (w->spec.describe)
        least = plan_larger(least, work_small_size(w->displayed));
    return plan_upright(least, work_orientation(w));
}

/* What an SVG is drawn in: enough for the largest output that is made from the base. */
static void choose_drawing(const struct work *w, struct decode *d)
{
    struct plan_size most = {0, 0};

    if (w->plan.n == 0)
        most = work_small_size(w->displayed);
    for (size_t i = 0; i < w->plan.n; i++)
        most = plan_larger(most, w->plan.outputs[i].first.scaled);
    d->draw_width = most.width;
    d->draw_height = most.height;
}

/* The trap: a lazy image read by several outputs is decoded again for each. */
static enum err settle_base(struct work *w, struct fault *reterr)
{
    if (!vimage_settle(&w->base) || ops_drop_idle_alpha(&w->base) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    work_end_phase(w);
    watch(w, w->base);
    return ERR_OK;
}

static enum err open_frames(struct work *w, struct fault *reterr)
{
    enum err e = decode_frames(&w->decode, least_base(w), &w->roll, &w->frame_height, reterr);

    if (e != ERR_OK)
        return e;
    if (ops_drop_idle_alpha(&w->roll) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "frames");
    e = work_frame(w, 0, &w->base, reterr);
    work_end_phase(w);
    return e;
}

static enum err open_base(struct work *w, struct fault *reterr)
{
    bool keep = w->plan.keep_base || (w->spec.describe && w->plan.n > 0);
    enum err e = FAILPOINT_ERR("render.decode");

    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "decode: a failpoint struck");
    w->phases = (unsigned)w->plan.n + (keep ? 1 : 0) + (w->plan.n == 0 ? 1 : 0);
    w->decode.keep_profile = w->spec.keep_profile;
    choose_drawing(w, &w->decode);
    if (w->plan.moves)
        return open_frames(w, reterr);
    e = decode_pixels(&w->decode, least_base(w), &w->base, reterr);
    if (e != ERR_OK)
        return e;
    watch(w, w->base);
    return keep ? settle_base(w, reterr) : ERR_OK;
}

/* An encoder may only say that it got no pixels. Then the source is read once more by
 * itself, to find out whose fault it is: a broken source is the customer's, all else is
 * ours. */
static enum err blame(struct work *w, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct decode again = {0};
    struct probe_limits limits = work_limits(w);
    enum err e = decode_open(w->file, w->spec.page, &limits, &again, reterr);

    choose_drawing(w, &again);
    if (e == ERR_OK)
        e = decode_pixels(&again, least_base(w), &im, reterr);
    if (e == ERR_OK && !vimage_settle(&im))
        e = vfault_take(reterr, ERR_MALFORMED, "decode");
    decode_done(&again);
    return e == ERR_OK ? ERR_INTERNAL : e;
}

static enum err open_source(struct work *w, struct wire_report *report, struct fault *reterr)
{
    struct probe_limits limits = work_limits(w);
    enum err e = parse_args(w, reterr);

    if (e == ERR_OK)
        e = work_map(WORK_SOURCE, &w->file, reterr);
    if (e == ERR_OK)
        e = decode_open(w->file, w->spec.page, &limits, &w->decode, reterr);
    if (e != ERR_OK)
        return e;
    report->source_format = w->decode.format;
    report->source_width = w->decode.width;
    report->source_height = w->decode.height;
    return ERR_OK;
}

static enum err describe(struct work *w, struct wire_report *report, struct fault *reterr)
{
    if (!w->spec.describe)
        return ERR_OK;
    report->has_info = true;
    return work_describe(w, &report->info, reterr);
}

/* Whoever ordered may have something better to do with this renderer. */
static enum err weigh(struct work *w, struct wire_report *report, struct fault *reterr)
{
    const struct wire_order *o = w->order;
    struct cost_source source = {.format = w->decode.format,
                                 .stored = {w->decode.width, w->decode.height},
                                 .frames = w->plan.moves ? w->frames : 1};

    decode_reduction(&w->decode, least_base(w), w->plan.moves, &source.shrink, &source.scale);
    source.interlaced = decode_is_interlaced(&w->decode);
    if (w->decode.format == IMAGE_SVG)
        source.stored = w->plan.least; /* it is drawn in that size */
    report->predicted_us = cost_predict(&w->spec, &w->plan, &source);
    if (o->slow_us == 0 || report->predicted_us < o->slow_us)
        return ERR_OK;
    w->ev->on_slow(w->ev->arg, report->predicted_us);
    return o->wide ? ERR_OK : fault_set(reterr, ERR_BUSY, 0, "slow");
}

static enum err do_work(struct work *w, struct wire_report *report, struct fault *reterr)
{
    enum err e = open_source(w, report, reterr);

    if (e == ERR_OK)
        e = plan_work(w, reterr);
    if (e == ERR_OK)
        e = weigh(w, report, reterr);
    if (e == ERR_OK)
        e = work_open_marks(w, reterr);
    if (e == ERR_OK)
        e = open_base(w, reterr);
    if (e == ERR_OK)
        e = describe(w, report, reterr);
    for (size_t i = 0; i < w->plan.n && e == ERR_OK; i++) {
        e = work_make_output(w, i, &report->outputs[i], reterr);
        if (e == ERR_OK)
            report->n_outputs = i + 1;
    }
    return e == ERR_INTERNAL ? blame(w, reterr) : e;
}

/* --- the whole ----------------------------------------------------------------------------- */

static void work_free(struct work *w)
{
    for (size_t i = 0; i < COUNT_OF(w->made); i++)
        vimage_drop(&w->made[i]);
    for (size_t i = 0; i < COUNT_OF(w->marks); i++)
        vimage_drop(&w->marks[i].im);
    vimage_drop(&w->base);
    vimage_drop(&w->roll);
    decode_done(&w->decode);
    work_unmap(&w->file);
    msgpack_zone_destroy(&w->zone);
    free(w);
}

static struct work *work_new(const struct wire_order *order, const struct work_events *ev)
{
    struct work *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (!msgpack_zone_init(&w->zone, 8192)) {
        free(w);
        return NULL;
    }
    w->order = order;
    w->ev = ev;
    w->phases = 1;
    w->last_ms = clock_now_ms();
    return w;
}

static void measure(struct wire_report *report, uint64_t cpu_before)
{
    struct self_memory mem;

    self_trim();
    self_read_memory(&mem);
    report->cpu_us = self_cpu_us() - cpu_before;
    report->peak_rss = mem.peak_rss;
    report->rss = mem.rss;
}

void work_run(const struct wire_order *order, const struct work_events *ev,
              struct wire_report *report)
{
    uint64_t cpu_before = self_cpu_us();
    struct fault why = {0};
    struct work *w;

    *report = (struct wire_report){.id = order->id};
    self_reset_peak();
    self_limit_cpu(order->cpu_ms);
    w = work_new(order, ev);
    if (w == NULL)
        report->err = fault_set(&why, ERR_NOMEM, 0, "no memory for an order");
    else
        report->err = do_work(w, report, &why);
    (void)snprintf(report->text, sizeof report->text, "%s", why.text);
    wire_printable(report->text);
    if (w != NULL)
        work_free(w);
    vips_error_clear();
    measure(report, cpu_before);
}
