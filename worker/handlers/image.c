/* image: one source, several outputs from one decode; image.info: what is to be said of a source.
 *
 *     locate --> fetch --> recall --> reuse --> render --> store --> remember --> finish
 *        |         |         |          |\         |         |           |
 *        |         |         |          | \--> (ends: the memory had its result)
 *        \_________\_________\__________\_________\_________\___________\__> give_up
 *
 * Safe to repeat: outputs are stored under the hash of their content. Only render leaves this
 * process (render/pool.h); fetch brings a source by URL into the spool directory (source_fetch.h), recall
 * asks what was made before (result_memory.h); store hashes and syncs files on a pool thread. */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/hash.h"
#include "worker/blob_store.h"
#include "worker/handler.h"
#include "worker/image_result.h"
#include "worker/result_memory.h"
#include "worker/source_fetch.h"
#include "worker/source_path.h"
#include "worker/srcset.h"

struct image {
    struct flow flow;
    struct slot *slot;
    struct loop_later later;
    struct spec_image *spec;
    char source[PATH_MAX];
    struct source_fetch *fetching;
    bool resting;               /* no renderer is kept for it while it fetches */
    bool fetched;               /* the source is a file of our own */
    uint8_t sha256[HASH_LEN];   /* of what was fetched */
    struct result_visit *visit; /* NULL: the memory is not asked, or has answered for good */
    bool asking;
    struct buf recalled;
    char *marks[SPEC_IMAGE_MARKS_MAX]; /* of watermarks */
    struct render_ticket *ticket;
    struct blob_item *files; /* one per output, in the report's order */
    size_t n;
    struct image_meta {
        char name[JOB_NAME_MAX + 1];
        enum image_format format;
        uint32_t width, height, frames, quality;
    } * meta;
    struct wire_info *info; /* NULL: nobody asked */
    enum image_format source_format;
    uint32_t source_width, source_height, render_ms, cpu_ms;
    uint64_t peak_rss;
    bool stopped;
    struct fault why;
};

static step_fn locate, fetch, recall, reuse, render, store, remember, finish, give_up;
static const struct step S_FETCH = {"fetch", fetch}, S_LOCATE = {"locate", locate},
                         S_RECALL = {"recall", recall}, S_REUSE = {"reuse", reuse},
                         S_RENDER = {"render", render}, S_STORE = {"store", store},
                         S_REMEMBER = {"remember", remember}, S_FINISH = {"finish", finish},
                         S_GIVE_UP = {"give_up", give_up};

static struct image *image_of(struct flow *f)
{
    return CONTAINER(f, struct image, flow);
}

/* --- locate ------------------------------------------------------------------------------------- */

static enum err locate_upload(struct image *im, const struct image_source *from, const char *at,
                              char path[PATH_MAX])
{
    char id[UUID_TEXT_SIZE];

    if (!blob_upload_path(im->slot->sv->opt->blob_dir, uuid_text(&from->upload, id), path,
                          PATH_MAX))
        return fault_set(&im->why, ERR_INTERNAL, 0, "BLOB_DIR is too long");
    if (access(path, R_OK) != 0)
        return fault_set(&im->why, ERR_NOT_FOUND, 0,
                         "%s/upload: no upload %s (never finished, or expired)", at, id);
    return ERR_OK;
}

static enum err find_file(struct image *im, const struct image_source *from, const char *at,
                          char path[PATH_MAX])
{
    switch (from->kind) {
    case IMAGE_SOURCE_UPLOAD:
        return locate_upload(im, from, at, path);
    case IMAGE_SOURCE_PATH:
        return source_path_resolve(im->slot->sv->opt->path_roots, from->text, path, &im->why);
    case IMAGE_SOURCE_URL:
        break;
    }
    return fault_set(
        &im->why, ERR_UNSUPPORTED, 0,
        "%s/url: is served for /args/source alone; upload the file, or name a path", at);
}

static enum err find_marks(struct image *im)
{
    for (size_t i = 0; i < im->spec->n_marks; i++) {
        char path[PATH_MAX];
        enum err e = find_file(im, &im->spec->marks[i], "watermark: source", path);

        if (e != ERR_OK)
            return e;
        im->marks[i] = strdup(path);
        if (im->marks[i] == NULL)
            return fault_set(&im->why, ERR_NOMEM, 0, "no memory for a path");
    }
    return ERR_OK;
}

/* Beside the outputs of the renderers: what an attempt leaves there when it dies goes with them. */
static enum err place_fetched(struct image *im)
{
    const struct claim *claim = &im->slot->claim;
    char id[UUID_TEXT_SIZE];
    int n = snprintf(im->source, sizeof im->source, "%s/out/%s-%u-source", im->slot->sv->spool,
                     uuid_text(&claim->id, id), claim->attempt);

    if (n < 0 || (size_t)n >= sizeof im->source)
        return fault_set(&im->why, ERR_INTERNAL, 0, "SPOOL_DIR is too long");
    return ERR_OK;
}

static enum err find_source(struct image *im)
{
    enum err e = im->spec->source.kind == IMAGE_SOURCE_URL
                     ? place_fetched(im)
                     : find_file(im, &im->spec->source, "/args/source", im->source);

    return e == ERR_OK ? find_marks(im) : e;
}

static const struct step *locate(struct flow *f)
{
    struct image *im = image_of(f);
    enum err e = find_source(im);

    if (e != ERR_OK)
        return flow_await(f, e, NULL);
    return im->spec->source.kind == IMAGE_SOURCE_URL ? &S_FETCH : &S_RECALL;
}

/* --- fetch -------------------------------------------------------------------------------------- */

static void rest(struct image *im)
{
    struct services *sv = im->slot->sv;

    im->resting = sv->fetching < sv->opt->source_fetches;
    if (!im->resting)
        return;
    sv->fetching++;
    slot_rest(im->slot, true);
}

static void go_on(struct image *im)
{
    if (!im->resting)
        return;
    im->resting = false;
    im->slot->sv->fetching--;
    slot_rest(im->slot, false);
}

static void on_fetched(void *arg, enum err e, const struct source_got *got,
                       const struct fault *why)
{
    struct image *im = arg;

    im->fetching = NULL;
    go_on(im);
    im->fetched = e == ERR_OK;
    memcpy(im->sha256, got->sha256, sizeof im->sha256);
    if (e != ERR_OK)
        im->why = *why;
    slot_set_retry_after(im->slot, got->retry_after_ms);
    flow_wake(&im->flow, e);
}

static uint32_t fetch_timeout_ms(const struct slot *s)
{
    uint64_t ms = s->sv->opt->source_timeout_ms;

    return ms < s->timeout_ms ? (uint32_t)ms : s->timeout_ms;
}

static const struct step *fetch(struct flow *f)
{
    struct image *im = image_of(f);
    struct slot *s = im->slot;
    const struct worker_options *opt = s->sv->opt;
    const struct source_order order = {.http = s->sv->http,
                                       .url = im->spec->source.text,
                                       .path = im->source,
                                       .max_bytes = opt->source_bytes,
                                       .timeout_ms = fetch_timeout_ms(s),
                                       .min_rate = (uint32_t)opt->source_rate,
                                       .stall_ms = (uint32_t)opt->source_stall_ms};

    enum err e = source_fetch_start(&order, on_fetched, im, &im->fetching, &im->why);

    slot_progress(s, 0, "fetching");
    if (e == ERR_OK)
        rest(im);
    return flow_await(f, e, &S_RECALL);
}

/* --- recall ------------------------------------------------------------------------------------- */

static void on_told(void *arg, enum err e, struct slice result)
{
    struct image *im = arg;

    im->asking = false;
    im->slot->wake_at_ms = 0;
    go_on(im);
    if (e == ERR_NOT_FOUND) {
        flow_wake(&im->flow, ERR_OK);
        return;
    }
    im->visit = NULL;
    buf_add_slice(&im->recalled, result);
    flow_wake(&im->flow, e == ERR_OK && buf_failed(&im->recalled) ? ERR_NOMEM : e);
}

/* Who is at the same work may take as long as this job itself might: that is bounded too. */
static const struct step *recall(struct flow *f)
{
    struct image *im = image_of(f);
    struct slot *s = im->slot;
    const struct result_question q = {.type = s->job.type,
                                      .args = &s->args,
                                      .path = im->source,
                                      .sha256 = im->fetched ? im->sha256 : NULL};

    if (im->stopped) /* just when the source was there */
        return flow_await(f, ERR_CANCELED, NULL);
    if (s->sv->memory == NULL ||
        result_memory_ask(s->sv->memory, &q, on_told, im, &im->visit) != ERR_OK)
        return &S_RENDER;
    im->asking = true;
    s->wake_at_ms = clock_now_ms() + s->timeout_ms;
    rest(im);
    return flow_await(f, ERR_OK, &S_REUSE);
}

static const struct step *reuse(struct flow *f)
{
    struct image *im = image_of(f);
    struct image_rows out = {.rows = NULL};

    if (im->stopped)
        return flow_await(f, ERR_CANCELED, NULL);
    if (im->recalled.len == 0)
        return &S_RENDER;
    f->err = image_result_repeat(buf_slice(&im->recalled), &im->slot->claim.id, &im->slot->args,
                                 slot_result(im->slot), &out, &im->why);
    if (f->err == ERR_OK)
        slot_set_outputs(im->slot, out.rows, out.n);
    return flow_end(f);
}

/* --- render ------------------------------------------------------------------------------------- */

static enum err take_outputs(struct image *im, const struct render_report *r)
{
    im->files = calloc(r->n_outputs + 1, sizeof *im->files);
    im->meta = calloc(r->n_outputs + 1, sizeof *im->meta);
    if (im->files == NULL || im->meta == NULL)
        return fault_set(&im->why, ERR_NOMEM, 0, "no memory for %zu outputs", r->n_outputs);
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct render_output *o = &r->outputs[i];

        im->files[i].path = strdup(o->path);
        im->files[i].ext = image_format_ext(o->format);
        im->meta[i] = (struct image_meta){.format = o->format,
                                          .width = o->width,
                                          .height = o->height,
                                          .frames = o->frames,
                                          .quality = o->quality};
        (void)slice_to_cstr(slice_str(o->name), im->meta[i].name, sizeof im->meta[i].name);
        im->n = i + 1;
        if (im->files[i].path == NULL)
            return fault_set(&im->why, ERR_NOMEM, 0, "no memory for a path");
    }
    return ERR_OK;
}

static enum err take_info(struct image *im, const struct wire_info *info)
{
    if (info == NULL)
        return ERR_OK;
    im->info = malloc(sizeof *im->info);
    if (im->info == NULL)
        return fault_set(&im->why, ERR_NOMEM, 0, "no memory for a description");
    *im->info = *info;
    return ERR_OK;
}

static void on_rendered(void *arg, enum err e, const struct render_report *r,
                        const struct fault *why)
{
    struct image *im = arg;

    im->ticket = NULL;
    if (e == ERR_OK) {
        im->source_format = r->source_format;
        im->source_width = r->source_width;
        im->source_height = r->source_height;
        im->render_ms = r->wall_ms;
        im->cpu_ms = r->cpu_ms;
        im->peak_rss = r->peak_rss;
        e = take_outputs(im, r);
        if (e == ERR_OK)
            e = take_info(im, r->info);
    } else if (why != NULL) {
        im->why = *why;
    }
    flow_wake(&im->flow, e);
}

static void on_progress(void *arg, unsigned pct)
{
    struct image *im = arg;

    slot_progress(im->slot, pct, "rendering");
}

static const struct step *render(struct flow *f)
{
    struct image *im = image_of(f);
    struct slot *s = im->slot;
    enum err e =
        render_pool_run(s->sv->pool,
                        &(struct render_order){.job = &s->claim.id,
                                               .attempt = s->claim.attempt,
                                               .source_path = im->source,
                                               .mark_paths = (const char *const *)im->marks,
                                               .n_marks = im->spec->n_marks,
                                               .args = s->job.args,
                                               .timeout_ms = s->timeout_ms},
                        on_progress, on_rendered, im, &im->ticket, &im->why);

    return flow_await(f, e, im->spec->n_outputs == 0 ? &S_REMEMBER : &S_STORE);
}

/* --- store -------------------------------------------------------------------------------------- */

static void on_stored(void *arg, enum err e, const struct fault *why)
{
    struct image *im = arg;

    if (why != NULL)
        im->why = *why;
    flow_wake(&im->flow, e);
}

static const struct step *store(struct flow *f)
{
    struct image *im = image_of(f);
    struct services *sv = im->slot->sv;

    slot_progress(im->slot, 100, "storing");
    return flow_await(
        f, blob_store(loop_uv(sv->loop), sv->opt->blob_dir, im->files, im->n, on_stored, im),
        &S_REMEMBER);
}

static void pack_output(msgpack_packer *pk, const struct image_meta *meta,
                        const struct blob_item *file)
{
    char hex[HASH_HEX_SIZE];

    msgpack_pack_map(pk, 6 + (meta->frames > 1) + (meta->quality > 0));
    mp_str(pk, "name");
    mp_str(pk, meta->name);
    mp_str(pk, "format");
    mp_str(pk, image_format_name(meta->format));
    mp_str(pk, "width");
    msgpack_pack_uint32(pk, meta->width);
    mp_str(pk, "height");
    msgpack_pack_uint32(pk, meta->height);
    if (meta->frames > 1) {
        mp_str(pk, "frames");
        msgpack_pack_uint32(pk, meta->frames);
    }
    if (meta->quality > 0) {
        mp_str(pk, "quality");
        msgpack_pack_uint32(pk, meta->quality);
    }
    mp_str(pk, "bytes");
    msgpack_pack_uint64(pk, file->bytes);
    mp_str(pk, "sha256");
    mp_str(pk, hex_text(file->sha256, sizeof file->sha256, hex));
}

static void pack_srcset(msgpack_packer *pk, const struct image *im)
{
    struct srcset_item items[SPEC_IMAGE_OUTPUTS_MAX];

    for (size_t i = 0; i < im->n; i++)
        items[i] = (struct srcset_item){.name = im->meta[i].name,
                                        .format = im->meta[i].format,
                                        .width = im->meta[i].width,
                                        .height = im->meta[i].height};
    srcset_pack(pk, &im->slot->claim.id, &im->slot->args, items, im->n);
}

static void pack_result(const struct image *im, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, 5 + (im->info != NULL) + srcset_pairs(&im->slot->args));
    mp_str(&pk, "source");
    msgpack_pack_map(&pk, 3);
    mp_str(&pk, "format");
    mp_str(&pk, image_format_name(im->source_format));
    mp_str(&pk, "width");
    msgpack_pack_uint32(&pk, im->source_width);
    mp_str(&pk, "height");
    msgpack_pack_uint32(&pk, im->source_height);
    if (im->info != NULL) {
        mp_str(&pk, "info");
        wire_info_pack(&pk, im->info);
    }
    mp_str(&pk, "outputs");
    msgpack_pack_array(&pk, im->n);
    for (size_t i = 0; i < im->n; i++)
        pack_output(&pk, &im->meta[i], &im->files[i]);
    mp_str(&pk, "render_ms");
    msgpack_pack_uint32(&pk, im->render_ms);
    mp_str(&pk, "cpu_ms");
    msgpack_pack_uint32(&pk, im->cpu_ms);
    mp_str(&pk, "peak_rss");
    msgpack_pack_uint64(&pk, im->peak_rss);
    pack_srcset(&pk, im);
}

/* --- remember ----------------------------------------------------------------------------------- */

static void on_kept(void *arg, enum err e)
{
    struct image *im = arg;

    (void)e; /* the next one does the work anew */
    flow_wake(&im->flow, ERR_OK);
}

static const struct step *remember(struct flow *f)
{
    struct image *im = image_of(f);
    struct buf *result = slot_result(im->slot);

    pack_result(im, result);
    if (im->visit == NULL || buf_failed(result) ||
        result_memory_keep(im->visit, buf_slice(result), on_kept, im) != ERR_OK)
        return &S_FINISH;
    return flow_await(f, ERR_OK, &S_FINISH);
}

/* --- finish ------------------------------------------------------------------------------------- */

static enum err give_outputs(struct image *im)
{
    struct ledger_output *rows;

    if (im->n == 0)
        return ERR_OK;
    rows = calloc(im->n, sizeof *rows);
    if (rows == NULL)
        return fault_set(&im->why, ERR_NOMEM, 0, "no memory for %zu outputs", im->n);
    for (size_t i = 0; i < im->n; i++) {
        rows[i] = (struct ledger_output){.name = strdup(im->meta[i].name),
                                         .file = strdup(im->files[i].name),
                                         .format = image_format_name(im->meta[i].format),
                                         .width = im->meta[i].width,
                                         .height = im->meta[i].height,
                                         .bytes = im->files[i].bytes};
        memcpy(rows[i].sha256, im->files[i].sha256, sizeof rows[i].sha256);
    }
    slot_set_outputs(im->slot, rows, im->n);
    for (size_t i = 0; i < im->n; i++) {
        if (rows[i].name == NULL || rows[i].file == NULL)
            return fault_set(&im->why, ERR_NOMEM, 0, "no memory for an output's name");
    }
    return ERR_OK;
}

static const struct step *finish(struct flow *f)
{
    struct image *im = image_of(f);

    f->err = give_outputs(im);
    return flow_end(f);
}

static const struct step *give_up(struct flow *f)
{
    return flow_end(f); /* f->err and why say it all; ended() cleans up */
}

/* --- life --------------------------------------------------------------------------------------- */

static void ended(struct flow *f)
{
    struct image *im = image_of(f);
    struct slot *s = im->slot;
    struct fault why = im->why;
    enum err e = f->err;

    if (why.text[0] == '\0')
        (void)fault_set(&why, e, 0, "%s", err_text(e));
    result_memory_settle(&im->visit, e, buf_slice(slot_result(s)));
    buf_done(&im->recalled);
    if (im->fetched)
        (void)unlink(im->source);
    blob_items_discard(im->files, im->n);
    free(im->files);
    free(im->meta);
    free(im->info);
    for (size_t i = 0; i < COUNT_OF(im->marks); i++)
        free(im->marks[i]);
    free(im->spec);
    free(im);
    slot_done(s, e, &why);
}

/* The flow's first step may fail at once; slot_done() must wait until start() has returned. */
static void on_begin(void *arg)
{
    struct image *im = arg;

    im->flow.err = im->stopped ? ERR_CANCELED : ERR_OK;
    flow_start(&im->flow, im->stopped ? &S_GIVE_UP : &S_LOCATE);
}

static enum err start(struct slot *s, struct fault *reterr)
{
    struct image *im = calloc(1, sizeof *im);

    if (im != NULL)
        im->spec = calloc(1, sizeof *im->spec);
    if (im == NULL || im->spec == NULL) {
        free(im);
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the job");
    }
    must(spec_image_any_parse(&s->args, "/args", im->spec, NULL) ==
         ERR_OK); /* checked before */
    im->slot = s;
    im->flow = (struct flow){.on_fail = &S_GIVE_UP, .ended = ended};
    s->work = im;
    loop_later(s->sv->loop, &im->later, on_begin, im);
    return ERR_OK;
}

static void stop(struct slot *s)
{
    struct image *im = s->work;

    im->stopped = true;
    if (im->fetching != NULL)
        source_fetch_cancel(im->fetching);
    if (im->asking)
        result_memory_cancel(im->visit);
    if (im->ticket != NULL)
        render_pool_cancel(im->ticket);
}

const struct handler handler_image = {
    .type = "image", .uses_renderer = true, .own_deadline = true, .start = start, .stop = stop};
const struct handler handler_image_info = {.type = "image.info",
                                           .uses_renderer = true,
                                           .own_deadline = true,
                                           .start = start,
                                           .stop = stop};
