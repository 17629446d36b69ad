#include "worker/image_inputs.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "worker/blob_store.h"
#include "worker/source_fetch.h"
#include "worker/source_path.h"

#define POINTER_MAX (SPEC_IMAGE_POINTER_MAX + 8) /* ".../source/url" */

struct input {
    struct image_inputs *in;
    const struct image_source *from;
    const struct input *same; /* an earlier one of the same URL, whose file it uses; or NULL */
    char at[SPEC_IMAGE_POINTER_MAX];
    char path[PATH_MAX];
    uint8_t sha256[HASH_LEN];
    struct source_fetch *fetching;
    bool fetched;
};
struct image_inputs {
    struct image_inputs_order order;
    struct input inputs[IMAGE_FILES_MAX];
    struct image_file files[IMAGE_FILES_MAX];
    size_t n;
    unsigned pending;
    bool canceled;
    enum err err; /* of the first that failed */
    struct fault why;
    int64_t retry_after_ms;
    image_inputs_got_fn *cb;
    void *arg;
};

/* --- find ------------------------------------------------------------------------------------- */

static enum err find_upload(const struct image_inputs *in, struct input *i,
                            struct fault *reterr)
{
    char id[UUID_TEXT_SIZE];

    if (!blob_upload_path(in->order.sv->opt->blob_dir, uuid_text(&i->from->upload, id), i->path,
                          sizeof i->path))
        return fault_set(reterr, ERR_INTERNAL, 0, "BLOB_DIR is too long");
    if (access(i->path, R_OK) != 0)
        return fault_set(reterr, ERR_NOT_FOUND, 0,
                         "%s/upload: no upload %s (never finished, or expired)", i->at, id);
    return ERR_OK;
}

/* Beside the outputs of the renderers: what an attempt leaves there when it dies goes with them. */
static enum err place_fetched(const struct image_inputs *in, struct input *i,
                              struct fault *reterr)
{
    const struct claim *claim = in->order.claim;
    char id[UUID_TEXT_SIZE];
    int n = snprintf(i->path, sizeof i->path, "%s/out/%s-%u-source%zu", in->order.sv->spool,
                     uuid_text(&claim->id, id), claim->attempt, (size_t)(i - in->inputs));

    if (n < 0 || (size_t)n >= sizeof i->path)
        return fault_set(reterr, ERR_INTERNAL, 0, "SPOOL_DIR is too long");
    return ERR_OK;
}

static const struct input *same_url(const struct image_inputs *in, const struct input *i)
{
    for (const struct input *o = in->inputs; o < i; o++) {
        if (o->same == NULL && o->from->kind == IMAGE_SOURCE_URL &&
            slice_eq(o->from->text, i->from->text))
            return o;
    }
    return NULL;
}

static enum err find_one(const struct image_inputs *in, struct input *i, struct fault *reterr)
{
    switch (i->from->kind) {
    case IMAGE_SOURCE_UPLOAD:
        return find_upload(in, i, reterr);
    case IMAGE_SOURCE_PATH:
        return source_path_resolve(in->order.sv->opt->path_roots, i->from->text, i->at, i->path,
                                   reterr);
    case IMAGE_SOURCE_URL:
        break;
    }
    i->same = same_url(in, i);
    return i->same != NULL ? ERR_OK : place_fetched(in, i, reterr);
}

static void name_input(struct image_inputs *in, size_t k)
{
    const struct spec_image *spec = in->order.spec;
    struct input *i = &in->inputs[k];

    i->in = in;
    i->from = k == 0 ? &spec->source : &spec->marks[k - 1];
    if (k == 0)
        (void)snprintf(i->at, sizeof i->at, "/args/source");
    else
        spec_image_mark_pointer(spec, k - 1, i->at);
}

static enum err find_all(struct image_inputs *in, struct fault *reterr)
{
    for (size_t k = 0; k < in->n; k++) {
        struct input *i = &in->inputs[k];
        enum err e;

        name_input(in, k);
        e = find_one(in, i, reterr);
        if (e != ERR_OK)
            return e;
        in->files[k].path = i->same != NULL ? i->same->path : i->path;
    }
    return ERR_OK;
}

enum err image_inputs_find(const struct image_inputs_order *order, struct image_inputs **ret,
                           struct fault *reterr)
{
    struct image_inputs *in = calloc(1, sizeof *in);
    enum err e;

    if (in == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the files of a job");
    in->order = *order;
    in->n = 1 + order->spec->n_marks;
    e = find_all(in, reterr);
    if (e != ERR_OK) {
        image_inputs_free(&in);
        return e;
    }
    *ret = in;
    return ERR_OK;
}

const struct image_file *image_inputs_files(const struct image_inputs *in, size_t *ret_n)
{
    *ret_n = in->n;
    return in->files;
}

/* --- fetch ------------------------------------------------------------------------------------ */

static bool is_to_fetch(const struct input *i)
{
    return i->from->kind == IMAGE_SOURCE_URL && i->same == NULL;
}

bool image_inputs_must_fetch(const struct image_inputs *in)
{
    for (size_t k = 0; k < in->n; k++) {
        if (is_to_fetch(&in->inputs[k]))
            return true;
    }
    return false;
}

void image_inputs_cancel(struct image_inputs *in)
{
    if (in->canceled)
        return;
    in->canceled = true;
    for (size_t k = 0; k < in->n; k++) {
        if (in->inputs[k].fetching != NULL)
            source_fetch_cancel(in->inputs[k].fetching);
    }
}

static void fail_all(struct image_inputs *in, enum err e, int64_t retry_after_ms,
                     const struct fault *why)
{
    if (in->err != ERR_OK)
        return; /* it was stopped because of that one */
    in->err = e;
    in->retry_after_ms = retry_after_ms;
    in->why = *why;
    image_inputs_cancel(in);
}

static void tell_hashes(struct image_inputs *in)
{
    for (size_t k = 0; k < in->n; k++) {
        const struct input *i = in->inputs[k].same;

        if (i == NULL)
            i = &in->inputs[k];
        if (i->fetched)
            in->files[k].sha256 = i->sha256;
    }
}

static void on_got(void *arg, enum err e, const struct source_got *got, const struct fault *why)
{
    struct input *i = arg;
    struct image_inputs *in = i->in;

    i->fetching = NULL;
    i->fetched = e == ERR_OK;
    memcpy(i->sha256, got->sha256, sizeof i->sha256);
    if (e != ERR_OK)
        fail_all(in, e, got->retry_after_ms, why);
    if (--in->pending > 0)
        return;
    tell_hashes(in);
    in->cb(in->arg, in->err, in->retry_after_ms, &in->why);
}

static enum err fetch_one(struct input *i, struct fault *reterr)
{
    const struct image_inputs_order *o = &i->in->order;
    const struct worker_options *opt = o->sv->opt;
    char at[POINTER_MAX];
    uint64_t most_ms = opt->source_timeout_ms;
    const struct source_order order = {.http = o->sv->http,
                                       .url = i->from->text,
                                       .at = at,
                                       .path = i->path,
                                       .max_bytes = opt->source_bytes,
                                       .timeout_ms = most_ms < o->timeout_ms ? (uint32_t)most_ms
                                                                             : o->timeout_ms,
                                       .min_rate = (uint32_t)opt->source_rate,
                                       .stall_ms = (uint32_t)opt->source_stall_ms};

    (void)snprintf(at, sizeof at, "%s/url", i->at);
    return source_fetch_start(&order, on_got, i, &i->fetching, reterr);
}

/* One that does not even start, after others have, is told as one that fails. */
enum err image_inputs_fetch(struct image_inputs *in, image_inputs_got_fn *cb, void *arg,
                            struct fault *reterr)
{
    in->cb = cb;
    in->arg = arg;
    in->retry_after_ms = -1;
    for (size_t k = 0; k < in->n && in->err == ERR_OK; k++) {
        struct fault why;
        enum err e;

        if (!is_to_fetch(&in->inputs[k]))
            continue;
        e = fetch_one(&in->inputs[k], &why);
        if (e == ERR_OK)
            in->pending++;
        else
            fail_all(in, e, -1, &why);
    }
    if (in->pending > 0)
        return ERR_OK;
    must(in->err != ERR_OK);
    *reterr = in->why;
    return in->err;
}

/* --- end -------------------------------------------------------------------------------------- */

void image_inputs_free(struct image_inputs **in)
{
    if (*in == NULL)
        return;
    must((*in)->pending == 0);
    for (size_t k = 0; k < (*in)->n; k++) {
        if ((*in)->inputs[k].fetched)
            (void)unlink((*in)->inputs[k].path);
    }
    free(*in);
    *in = NULL;
}
