#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/failpoint.h"
#include "worker/render/child/encode.h"
#include "worker/render/child/ops_kit.h"
#include "worker/render/child/vfault.h"
#include "worker/render/child/work_state.h"

/* One output on its way. */
struct making {
    struct work *w;
    const struct plan_output *plan;
    const struct image_output *output;
    struct ops_job job;
    struct encode_how how;
    bool converts; /* the source's profile was kept, and this file cannot carry it */
    VipsImage *im;
    char path[sizeof WORK_OUT + 16];
};

/* --- pixels -------------------------------------------------------------------------------- */

enum err work_frame(const struct work *w, uint32_t i, VipsImage **ret, struct fault *reterr)
{
    int h = (int)w->frame_height;

    if (vips_extract_area(w->roll, ret, 0, (int)i * h, w->roll->Xsize, h, NULL) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "frame");
    return ERR_OK;
}

static enum err scaled_picture(struct work *w, size_t i, VipsImage **ret, struct fault *reterr)
{
    const struct plan_output *p = &w->plan.outputs[i];
    bool from_base = p->from == PLAN_BASE;
    struct ops_scale how = {
        .to = p->first.scaled,
        .orientation = from_base ? work_orientation(w) : 1,
        .settle = p->kept,
    };

    return ops_scale(from_base ? w->base : w->made[p->from], &how, ret, reterr);
}

static enum err make_still(struct making *m, size_t i, struct fault *reterr)
{
    struct work *w = m->w;
    enum err e = scaled_picture(w, i, &m->im, reterr);

    if (e != ERR_OK)
        return e;
    if (m->plan->kept) {
        w->made[i] = m->im;
        g_object_ref(m->im);
    }
    if (m->converts)
        e = decode_convert(&w->decode, &m->im, reterr);
    return e == ERR_OK ? ops_apply(&m->im, &m->job, reterr) : e;
}

static enum err make_frame(struct making *m, uint32_t i, VipsImage **ret, struct fault *reterr)
{
    struct ops_scale how = {.to = m->plan->first.scaled, .orientation = work_orientation(m->w)};
    AUTO(vimage_drop) VipsImage *frame = NULL;
    enum err e = work_frame(m->w, i, &frame, reterr);

    if (e == ERR_OK)
        e = ops_scale(frame, &how, ret, reterr);
    if (e == ERR_OK && m->converts)
        e = decode_convert(&m->w->decode, ret, reterr);
    if (e == ERR_OK)
        e = ops_apply(ret, &m->job, reterr);
    if (e == ERR_OK && !vimage_settle(ret))
        e = vfault_take(reterr, ERR_MALFORMED, "frame");
    return e;
}

static enum err make_frames(struct making *m, VipsImage **frames, struct fault *reterr)
{
    for (uint32_t i = 0; i < m->w->frames; i++) {
        enum err e = make_frame(m, i, &frames[i], reterr);

        if (e != ERR_OK)
            return e;
    }
    if (vips_arrayjoin(frames, &m->im, (int)m->w->frames, "across", 1, NULL) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "frames");
    m->how.frame_height = (uint32_t)frames[0]->Ysize;
    return ERR_OK;
}

static enum err make_moving(struct making *m, struct fault *reterr)
{
    uint32_t n = m->w->frames;
    VipsImage **frames = calloc(n, sizeof(VipsImage *));
    enum err e;

    if (frames == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for %u frames", n);
    e = make_frames(m, frames, reterr);
    for (uint32_t i = 0; i < n; i++)
        vimage_drop(&frames[i]);
    free(frames);
    decode_pace(&m->w->decode, &m->how.delays, &m->how.n_delays, &m->how.loop);
    if (m->how.n_delays > (int)n)
        m->how.n_delays = (int)n;
    return e;
}

/* --- file ---------------------------------------------------------------------------------- */

static enum err flatten(struct making *m, struct fault *reterr)
{
    double rgb[3];

    ops_flat_colour(m->output, rgb);
    return ops_flatten(&m->im, rgb, reterr);
}

static enum err write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        bytes += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static enum err write_blob(const char *path, VipsBlob *blob, uint64_t *ret_bytes,
                           struct fault *reterr)
{
    size_t len;
    const char *bytes = vips_blob_get(blob, &len);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum err e;

    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "output: %s", err_errno(errno));
    e = write_all(fd, bytes, len);
    if (e != ERR_OK)
        (void)fault_set(reterr, e, errno, "output: %s", err_errno(errno));
    (void)close(fd);
    *ret_bytes = len;
    return e;
}

static void drop_blob(VipsBlob **b)
{
    if (*b != NULL)
        vips_area_unref(VIPS_AREA(*b));
    *b = NULL;
}

static size_t blob_len(VipsBlob *b)
{
    size_t len = 0;

    (void)vips_blob_get(b, &len);
    return len;
}

/* --- the smallest of several ---------------------------------------------------------------- */

static uint32_t candidates_of(const struct making *m)
{
    bool alpha = vips_image_hasalpha(m->im);
    uint32_t set = m->output->candidates;

    if (m->plan->moves)
        return 1u << IMAGE_WEBP;
    if (set == 0)
        return 1u << IMAGE_WEBP | 1u << IMAGE_AVIF | 1u << (alpha ? IMAGE_PNG : IMAGE_JPEG);
    /* JPEG alone would lose what is transparent. */
    if (alpha && set != 1u << IMAGE_JPEG)
        set &= ~(1u << IMAGE_JPEG);
    return set;
}

/* Quality counts as JPEG's. AVIF's 50 looks like its 80; above that AVIF's has to rise faster: 71 for
 * 90, 92 for 100 (measured by SSIM and PSNR beside WebP and JPEG of the same pictures). */
static unsigned quality_for(enum image_format f, unsigned quality)
{
    if (quality == 0 || f != IMAGE_AVIF)
        return quality;
    return quality <= 80 ? (quality * 5 + 4) / 8 : 50 + (quality - 80) * 21 / 10;
}

static enum err try_format(struct making *m, enum image_format f, struct encode_how *best,
                           VipsBlob **smallest, struct fault *reterr)
{
    VipsBlob *blob = NULL;
    enum err e;

    m->how.format = f;
    m->how.quality = quality_for(f, m->output->how.quality);
    if (f == IMAGE_JPEG && (e = flatten(m, reterr)) != ERR_OK)
        return e;
    e = encode_memory(m->im, &m->how, &blob, reterr);
    if (e != ERR_OK)
        return e;
    if (*smallest == NULL || blob_len(blob) < blob_len(*smallest)) {
        drop_blob(smallest);
        *smallest = blob;
        *best = m->how;
    } else {
        drop_blob(&blob);
    }
    return ERR_OK;
}

static enum err smallest_in(struct making *m, uint32_t set, VipsBlob **ret,
                            struct fault *reterr)
{
    static const enum image_format order[] = {IMAGE_WEBP, IMAGE_JPEG, IMAGE_PNG, IMAGE_AVIF};
    struct encode_how best = m->how;
    enum err e = ERR_OK;

    for (size_t i = 0; i < COUNT_OF(order) && e == ERR_OK; i++) {
        if ((set & 1u << order[i]) != 0)
            e = try_format(m, order[i], &best, ret, reterr);
    }
    m->how = best;
    return e;
}

/* A PNG that is too large cannot be lowered, though the smallest: the others can. */
static bool is_stuck(const struct making *m, uint32_t set, VipsBlob *blob)
{
    uint64_t max = m->output->max_bytes;

    return max > 0 && m->how.format == IMAGE_PNG && blob_len(blob) > max &&
           set != 1u << IMAGE_PNG;
}

static enum err smallest_of(struct making *m, VipsBlob **ret, struct fault *reterr)
{
    uint32_t set;
    enum err e;

    if (!vimage_settle(&m->im) || ops_drop_idle_alpha(&m->im) != 0)
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    set = candidates_of(m);
    e = smallest_in(m, set, ret, reterr);
    if (e != ERR_OK || !is_stuck(m, set, *ret))
        return e;
    drop_blob(ret);
    return smallest_in(m, set & ~(1u << IMAGE_PNG), ret, reterr);
}

/* --- one output ---------------------------------------------------------------------------- */

static enum err within_bytes(struct making *m, VipsBlob **blob, struct fault *reterr)
{
    uint64_t max = m->output->max_bytes;
    struct fault why = {.text = ""};
    enum err e;

    if (max == 0 || encode_quality(&m->how) == 0 || (*blob != NULL && blob_len(*blob) <= max))
        return ERR_OK;
    drop_blob(blob);
    if (!vimage_settle(&m->im))
        return vfault_take(reterr, ERR_MALFORMED, "decode");
    e = encode_within(m->im, &m->how, max, blob, &why);
    if (e == ERR_OK)
        return e;
    return fault_set(reterr, e, why.native, "output %s: %.120s", m->output->name, why.text);
}

static enum err write_output(struct making *m, uint64_t *ret_bytes, struct fault *reterr)
{
    VipsBlob *blob = NULL;
    enum err e = ERR_OK;

    if (m->output->is_auto)
        e = smallest_of(m, &blob, reterr);
    if (e == ERR_OK)
        e = within_bytes(m, &blob, reterr);
    if (e == ERR_OK)
        e = blob != NULL ? write_blob(m->path, blob, ret_bytes, reterr)
                         : encode_file(m->im, &m->how, m->path, ret_bytes, reterr);
    drop_blob(&blob);
    return e;
}

static enum err check_bytes(const struct making *m, uint64_t bytes, struct fault *reterr)
{
    uint64_t max = m->w->order->output_bytes;

    if (m->output->max_bytes > 0 && bytes > m->output->max_bytes)
        return fault_set(reterr, ERR_TOO_BIG, 0, "output %s: %llu bytes, and max_bytes is %u",
                         m->output->name, (unsigned long long)bytes, m->output->max_bytes);
    if (max > 0 && bytes > max)
        return fault_set(reterr, ERR_TOO_BIG, 0,
                         "output %s: %llu bytes, the limit is %llu (OUTPUT_BYTES)",
                         m->output->name, (unsigned long long)bytes, (unsigned long long)max);
    return ERR_OK;
}

/* Encoders join frames that look alike into one that stays for as long. */
static uint32_t count_frames(const struct making *m)
{
    uint32_t n = 1;

    if (m->how.frame_height > 0)
        n = decode_count_frames(m->path, m->how.format);
    return n == 0 ? m->w->frames : n;
}

static enum err save(struct making *m, struct wire_output *ret, struct fault *reterr)
{
    enum err e = ERR_OK;

    if (!m->job.alpha_fits)
        e = flatten(m, reterr);
    if (e != ERR_OK)
        return e;
    e = FAILPOINT_ERR("render.encode");
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "encode: a failpoint struck");
    e = write_output(m, &ret->bytes, reterr);
    if (e != ERR_OK)
        return e;
    ret->format = m->how.format;
    ret->quality = encode_quality(&m->how);
    ret->width = (uint32_t)m->im->Xsize;
    ret->height = m->how.frame_height > 0 ? m->how.frame_height : (uint32_t)m->im->Ysize;
    ret->frames = count_frames(m);
    return check_bytes(m, ret->bytes, reterr);
}

/* GIF holds no profile; of grey, WebP and AVIF make RGB, which a profile of grey says nothing of. */
static bool carries_profile(const struct making *m, struct slice profile)
{
    bool grey = profile.len >= 20 && memcmp(profile.ptr + 16, "GRAY", 4) == 0;
    enum image_format f = m->plan->format;

    if (f == IMAGE_GIF || (grey && (f == IMAGE_WEBP || f == IMAGE_AVIF)))
        return false;
    return ops_keep_kind(m->output, grey);
}

static void begin(struct making *m)
{
    struct work *w = m->w;
    struct slice profile = slice_of(w->decode.profile, w->decode.profile_len);
    uint32_t frames = m->plan->moves ? w->frames : 1;

    m->job = (struct ops_job){.output = m->output,
                              .plan = m->plan,
                              .alpha_fits = image_format_has_alpha(m->plan->format),
                              .max_pixels = w->order->output_pixels / frames,
                              .marks = w->marks};
    m->converts = profile.len > 0 && !carries_profile(m, profile);
    m->how = (struct encode_how){.format = m->plan->format,
                                 .coding = &m->output->how,
                                 .profile = m->converts ? SLICE_LIT("") : profile};
    (void)snprintf(m->path, sizeof m->path, WORK_OUT "/%zu", m->plan->index);
}

enum err work_make_output(struct work *w, size_t i, struct wire_output *ret,
                          struct fault *reterr)
{
    struct making m = {.w = w,
                       .plan = &w->plan.outputs[i],
                       .output = &w->spec.outputs[w->plan.outputs[i].index]};
    enum err e;

    begin(&m);
    ret->index = (uint32_t)m.plan->index;
    e = m.plan->moves ? make_moving(&m, reterr) : make_still(&m, i, reterr);
    if (e == ERR_OK)
        e = save(&m, ret, reterr);
    vimage_drop(&m.im);
    if (e == ERR_OK)
        work_end_phase(w);
    return e;
}
