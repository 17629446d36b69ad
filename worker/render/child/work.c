#include "worker/render/child/work.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/failpoint.h"
#include "worker/render/child/decode.h"
#include "worker/render/child/encode.h"
#include "worker/render/child/ops.h"
#include "worker/render/child/plan.h"
#include "worker/render/child/self.h"
#include "worker/render/child/vfault.h"

#define PROGRESS_MS 100

struct work {
    const struct wire_order *order;
    msgpack_zone zone;
    struct spec_image spec;
    struct slice file; /* mapped */
    struct decode decode;
    struct plan plan;
    VipsImage *base;
    VipsImage
        *made[SPEC_IMAGE_OUTPUTS_MAX]; /* by position in the plan; what others are made from */
    work_progress_fn *on_progress;
    void *arg;
    unsigned phases, phase; /* a phase is one evaluation of pixels */
    unsigned last_pct;
    uint64_t last_ms;
};

/* --- progress ------------------------------------------------------------------------------ */

static void tell_progress(struct work *w, unsigned percent_of_phase)
{
    unsigned pct = (w->phase * 100 + percent_of_phase) / w->phases;
    uint64_t now = clock_now_ms();

    if (pct <= w->last_pct || pct > 99 || now - w->last_ms < PROGRESS_MS)
        return;
    w->last_pct = pct;
    w->last_ms = now;
    w->on_progress(w->arg, pct);
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

static void end_phase(struct work *w)
{
    tell_progress(w, 100);
    w->phase++;
}

/* --- source -------------------------------------------------------------------------------- */

static enum err map_fd(struct work *w, int fd, struct fault *reterr)
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
    w->file = slice_of(map, (size_t)st.st_size);
    return ERR_OK;
}

static enum err map_source(struct work *w, struct fault *reterr)
{
    int fd = open(WORK_SOURCE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum err e;

    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "source: %s", err_errno(errno));
    e = map_fd(w, fd, reterr);
    (void)close(fd);
    return e;
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
    e = spec_image_parse(&args, "/args", &w->spec, &why);
    return e == ERR_OK ? ERR_OK : fault_set(reterr, e, 0, "%s: %s", why.pointer, why.text);
}

static unsigned orientation_of(const struct work *w)
{
    return w->spec.auto_orient ? w->decode.orientation : 1;
}

static enum err plan_work(struct work *w, struct fault *reterr)
{
    struct plan_size shown = {w->decode.width, w->decode.height};

    if (orientation_of(w) >= 5)
        shown = (struct plan_size){w->decode.height, w->decode.width};
    return plan_make(&w->spec, shown, w->decode.format, w->order->output_pixels, &w->plan,
                     reterr);
}

static enum err open_base(struct work *w, struct fault *reterr)
{
    enum err e = decode_pixels(&w->decode, w->plan.shrink, &w->base, reterr);

    if (e != ERR_OK)
        return e;
    e = FAILPOINT_ERR("render.decode");
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "decode: a failpoint struck");
    w->phases = (unsigned)w->plan.n + (w->plan.keep_base ? 1 : 0);
    watch(w, w->base);
    if (!w->plan.keep_base)
        return ERR_OK;
    /* The trap: a lazy image read by several outputs is decoded again for each. */
    if (!vimage_settle(&w->base))
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    end_phase(w);
    watch(w, w->base);
    return ERR_OK;
}

/* --- outputs ------------------------------------------------------------------------------- */

static enum err scaled_picture(struct work *w, size_t i, VipsImage **ret, struct fault *reterr)
{
    const struct plan_output *p = &w->plan.outputs[i];
    bool from_base = p->from == PLAN_BASE;
    struct ops_scale how = {
        .to = p->first.scaled,
        .orientation = from_base ? orientation_of(w) : 1,
        .settle = p->kept,
    };

    return ops_scale(from_base ? w->base : w->made[p->from], &how, ret, reterr);
}

static enum err save_output(struct work *w, VipsImage **im, const struct plan_output *p,
                            struct wire_output *ret, struct fault *reterr)
{
    const struct image_output *o = &w->spec.outputs[p->index];
    char path[sizeof WORK_OUT + 16];
    double rgb[3];
    enum err e = ERR_OK;

    ret->index = (uint32_t)p->index;
    ret->format = plan_format(o, w->decode.format);
    e = ops_apply(im, o, p, ret->format, reterr);
    if (e == ERR_OK && ret->format == IMAGE_JPEG) {
        ops_flat_colour(o, rgb);
        e = ops_flatten(im, rgb, reterr);
    }
    if (e != ERR_OK)
        return e;
    e = FAILPOINT_ERR("render.encode");
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "encode: a failpoint struck");
    ret->width = (uint32_t)(*im)->Xsize;
    ret->height = (uint32_t)(*im)->Ysize;
    (void)snprintf(path, sizeof path, WORK_OUT "/%u", ret->index);
    return encode_file(*im, ret->format, o->quality, path, &ret->bytes, reterr);
}

static enum err make_output(struct work *w, size_t i, struct wire_report *report,
                            struct fault *reterr)
{
    const struct plan_output *p = &w->plan.outputs[i];
    AUTO(vimage_drop) VipsImage *im = NULL;
    enum err e = scaled_picture(w, i, &im, reterr);

    if (e != ERR_OK)
        return e;
    if (p->kept) {
        w->made[i] = im;
        g_object_ref(im);
    }
    e = save_output(w, &im, p, &report->outputs[i], reterr);
    if (e != ERR_OK)
        return e;
    report->n_outputs = i + 1;
    end_phase(w);
    return ERR_OK;
}

/* An encoder may only say that it got no pixels. Then the source is read once more by
 * itself, to find out whose fault it is: a broken source is the customer's, all else is
 * ours. */
static enum err blame(struct work *w, struct fault *reterr)
{
    AUTO(vimage_drop) VipsImage *im = NULL;
    struct decode again = {0};
    enum err e = decode_open(w->file, w->order->pixels, &again, reterr);

    if (e == ERR_OK)
        e = decode_pixels(&again, w->plan.shrink, &im, reterr);
    if (e == ERR_OK && !vimage_settle(&im))
        e = vfault_take(reterr, ERR_MALFORMED, "decode");
    decode_done(&again);
    return e == ERR_OK ? ERR_INTERNAL : e;
}

static enum err do_work(struct work *w, struct wire_report *report, struct fault *reterr)
{
    enum err e = parse_args(w, reterr);

    if (e == ERR_OK)
        e = map_source(w, reterr);
    if (e == ERR_OK)
        e = decode_open(w->file, w->order->pixels, &w->decode, reterr);
    if (e != ERR_OK)
        return e;
    report->source_format = w->decode.format;
    report->source_width = w->decode.width;
    report->source_height = w->decode.height;
    e = plan_work(w, reterr);
    if (e == ERR_OK)
        e = open_base(w, reterr);
    for (size_t i = 0; i < w->plan.n && e == ERR_OK; i++)
        e = make_output(w, i, report, reterr);
    return e == ERR_INTERNAL ? blame(w, reterr) : e;
}

/* --- the whole ----------------------------------------------------------------------------- */

static void work_free(struct work *w)
{
    for (size_t i = 0; i < COUNT_OF(w->made); i++)
        vimage_drop(&w->made[i]);
    vimage_drop(&w->base);
    decode_done(&w->decode);
    if (w->file.ptr != NULL)
        (void)munmap((void *)(uintptr_t)w->file.ptr, w->file.len);
    msgpack_zone_destroy(&w->zone);
    free(w);
}

static struct work *work_new(const struct wire_order *order, work_progress_fn *on_progress,
                             void *arg)
{
    struct work *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (!msgpack_zone_init(&w->zone, 8192)) {
        free(w);
        return NULL;
    }
    w->order = order;
    w->on_progress = on_progress;
    w->arg = arg;
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

void work_run(const struct wire_order *order, work_progress_fn *on_progress, void *arg,
              struct wire_report *report)
{
    uint64_t cpu_before = self_cpu_us();
    struct fault why = {0};
    struct work *w;

    *report = (struct wire_report){.id = order->id};
    self_reset_peak();
    w = work_new(order, on_progress, arg);
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
