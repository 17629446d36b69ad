/* image: one source, several outputs from one decode; image.info: what is to be said of a source.
 *
 *     locate --> fetch --> recall --> reuse --> render --> store --> remember --> finish
 *        |         |         |          |\         |         |           |
 *        |         |         |          | \--> (ends: the memory had its result)
 *        \_________\_________\__________\_________\_________\___________\__> give_up
 *
 * Safe to repeat: outputs are stored under the hash of their content. Only render leaves this
 * process (render/pool.h); locate and fetch bring the source and the watermarks' pictures (image_inputs.h),
 * recall asks what was made before (result_memory.h); store hashes and syncs files on a pool thread. */
#include "shared/clock.h"
#include "worker/handler.h"
#include "worker/image_inputs.h"
#include "worker/image_made.h"
#include "worker/image_result.h"
#include "worker/result_memory.h"

struct image {
    struct flow flow;
    struct slot *slot;
    struct loop_later later;
    struct spec_image *spec;
    struct image_inputs *inputs;
    bool fetching;
    bool resting;               /* no renderer is kept for it while it waits */
    struct result_visit *visit; /* NULL: the memory is not asked, or has answered for good */
    bool asking;
    struct buf recalled;
    struct render_ticket *ticket;
    struct image_made made;
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

static const struct step *locate(struct flow *f)
{
    struct image *im = image_of(f);
    const struct slot *s = im->slot;
    enum err e = image_inputs_find(
        &(struct image_inputs_order){
            .sv = s->sv, .claim = &s->claim, .spec = im->spec, .timeout_ms = s->timeout_ms},
        &im->inputs, &im->why);

    if (e != ERR_OK)
        return flow_await(f, e, NULL);
    return image_inputs_must_fetch(im->inputs) ? &S_FETCH : &S_RECALL;
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

static void on_fetched(void *arg, enum err e, int64_t retry_after_ms, const struct fault *why)
{
    struct image *im = arg;

    im->fetching = false;
    go_on(im);
    if (e != ERR_OK)
        im->why = *why;
    slot_set_retry_after(im->slot, retry_after_ms);
    flow_wake(&im->flow, e);
}

static const struct step *fetch(struct flow *f)
{
    struct image *im = image_of(f);
    enum err e = image_inputs_fetch(im->inputs, on_fetched, im, &im->why);

    im->fetching = e == ERR_OK;
    slot_progress(im->slot, 0, "fetching");
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
    struct result_question q = {.type = s->job.type, .args = &s->args, .spec = im->spec};

    if (im->stopped) /* just when the files were there */
        return flow_await(f, ERR_CANCELED, NULL);
    q.files = image_inputs_files(im->inputs, &q.n_files);
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

static void on_rendered(void *arg, enum err e, const struct render_report *r,
                        const struct fault *why)
{
    struct image *im = arg;

    im->ticket = NULL;
    if (e == ERR_OK) {
        e = image_made_take(&im->made, r, &im->why);
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
    const char *marks[SPEC_IMAGE_MARKS_MAX];
    size_t n;
    const struct image_file *files = image_inputs_files(im->inputs, &n);
    enum err e;

    for (size_t i = 1; i < n; i++)
        marks[i - 1] = files[i].path;
    e = render_pool_run(s->sv->pool,
                        &(struct render_order){.job = &s->claim.id,
                                               .attempt = s->claim.attempt,
                                               .source_path = files[0].path,
                                               .mark_paths = marks,
                                               .n_marks = n - 1,
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
    slot_rest(im->slot, true); /* the renderer is another's while the disk has its turn */
    return flow_await(f,
                      blob_store(loop_uv(sv->loop), sv->opt->blob_dir, im->made.files,
                                 im->made.n, on_stored, im),
                      &S_REMEMBER);
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

    image_made_pack(&im->made, &im->slot->claim.id, &im->slot->args, result);
    if (im->visit == NULL || buf_failed(result) ||
        result_memory_keep(im->visit, buf_slice(result), on_kept, im) != ERR_OK)
        return &S_FINISH;
    return flow_await(f, ERR_OK, &S_FINISH);
}

/* --- finish ------------------------------------------------------------------------------------- */

static const struct step *finish(struct flow *f)
{
    struct image *im = image_of(f);
    struct ledger_output *rows;

    f->err = image_made_rows(&im->made, &rows, &im->why);
    if (rows != NULL)
        slot_set_outputs(im->slot, rows, im->made.n);
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
    image_inputs_free(&im->inputs);
    image_made_done(&im->made);
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
    if (im->fetching)
        image_inputs_cancel(im->inputs);
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
