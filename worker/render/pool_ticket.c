#include "worker/render/pool_ticket.h"

#include <string.h>
#include <unistd.h>

#include "shared/clock.h"
#include "worker/render/pool_dir.h"

/* --- list
 * ------------------------------------------------------------------------------------- */

void ticket_list_init(struct ticket_list *l)
{
    *l = (struct ticket_list){.last = &l->first};
}

void ticket_list_add(struct ticket_list *l, struct render_ticket *t)
{
    must(t->back == NULL);
    t->next = NULL;
    t->back = l->last;
    *l->last = t;
    l->last = &t->next;
    l->n++;
}

void ticket_list_put_back(struct ticket_list *l, struct render_ticket *t)
{
    struct render_ticket **at = &l->first;

    must(t->back == NULL);
    while (*at != NULL && (*at)->seq < t->seq)
        at = &(*at)->next;
    t->next = *at;
    t->back = at;
    if (t->next != NULL)
        t->next->back = &t->next;
    else
        l->last = &t->next;
    *at = t;
    l->n++;
}

void ticket_list_remove(struct ticket_list *l, struct render_ticket *t)
{
    must(t->back != NULL);
    *t->back = t->next;
    if (t->next != NULL)
        t->next->back = t->back;
    else
        l->last = t->back;
    t->next = NULL;
    t->back = NULL;
    l->n--;
}

struct render_ticket *ticket_list_take(struct ticket_list *l)
{
    struct render_ticket *t = l->first;

    if (t != NULL)
        ticket_list_remove(l, t);
    return t;
}

/* --- life
 * ------------------------------------------------------------------------------------- */

static enum err copy_wants(struct render_ticket *t, const struct spec_image *spec,
                           struct fault *reterr)
{
    if (spec->n_marks != t->n_marks)
        return fault_set(reterr, ERR_MALFORMED, 0, "%zu files for %zu watermarks", t->n_marks,
                         spec->n_marks);
    for (size_t i = 0; i < spec->n_marks; i++)
        spec_image_mark_pointer(spec, i, t->marks_at[i]);
    t->wants = calloc(spec->n_outputs + 1, sizeof *t->wants);
    if (t->wants == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for %zu outputs", spec->n_outputs);
    t->n_wants = spec->n_outputs;
    for (size_t i = 0; i < spec->n_outputs; i++) {
        const struct image_output *o = &spec->outputs[i];

        (void)slice_to_cstr(slice_str(o->name), t->wants[i].name, sizeof t->wants[i].name);
        t->wants[i].format = o->format;
        t->wants[i].has_format = o->has_format;
    }
    return ERR_OK;
}

static enum err parse_spec(struct render_ticket *t, msgpack_zone *zone, struct spec_image *spec,
                           struct fault *reterr)
{
    static const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = 10000, .max_bytes = JOB_ITEM_MAX};
    struct spec_fault why = {0};
    msgpack_object args;
    enum err e = mp_parse(buf_slice(&t->args), &limits, zone, &args, reterr);

    if (e != ERR_OK)
        return e;
    e = spec_image_any_parse(&args, "/args", spec, &why);
    if (e != ERR_OK)
        return fault_set(reterr, e, 0, "%s: %s", why.pointer, why.text);
    return copy_wants(t, spec, reterr);
}

static enum err read_wants(struct render_ticket *t, struct fault *reterr)
{
    struct spec_image *spec = calloc(1, sizeof *spec);
    msgpack_zone zone;
    enum err e;

    if (spec == NULL || !msgpack_zone_init(&zone, 4096)) {
        free(spec);
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for an order");
    }
    e = parse_spec(t, &zone, spec, reterr);
    msgpack_zone_destroy(&zone);
    free(spec);
    return e;
}

static bool copy_marks(struct render_ticket *t, const struct render_order *order)
{
    must(order->n_marks <= COUNT_OF(t->marks));
    for (size_t i = 0; i < order->n_marks; i++) {
        t->marks[i] = strdup(order->mark_paths[i]);
        t->n_marks = i + 1;
        if (t->marks[i] == NULL)
            return false;
    }
    return true;
}

enum err ticket_new(const struct render_order *order, struct render_ticket **ret,
                    struct fault *reterr)
{
    struct render_ticket *t = calloc(1, sizeof *t);
    enum err e;

    if (t == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for an order");
    t->magic = TICKET_MAGIC;
    t->job = *order->job;
    t->attempt = order->attempt;
    t->timeout_ms = order->timeout_ms;
    t->source = strdup(order->source_path);
    buf_add_slice(&t->args, order->args);
    e = t->source == NULL || buf_failed(&t->args) || !copy_marks(t, order)
            ? fault_set(reterr, ERR_NOMEM, 0, "no memory for an order")
            : read_wants(t, reterr);
    if (e != ERR_OK) {
        ticket_free(&t);
        return e;
    }
    *ret = t;
    return ERR_OK;
}

static void drop_outputs(struct render_ticket *t)
{
    for (size_t i = 0; i < t->report.n_outputs; i++) {
        if (t->report.outputs[i].path != NULL)
            (void)unlink(t->report.outputs[i].path);
        free(t->report.outputs[i].path);
    }
    free(t->report.outputs);
    t->report.outputs = NULL;
    t->report.n_outputs = 0;
}

void ticket_free(struct render_ticket **ticket)
{
    struct render_ticket *t = *ticket;

    if (t == NULL)
        return;
    *ticket = NULL;
    drop_outputs(t);
    free(t->wants);
    free(t->source);
    for (size_t i = 0; i < t->n_marks; i++)
        free(t->marks[i]);
    buf_done(&t->args);
    t->magic = 0;
    free(t);
}

void ticket_deliver(struct render_ticket **ticket)
{
    struct render_ticket *t = *ticket;
    bool ok = t->err == ERR_OK;

    t->on_done(t->arg, t->err, ok ? &t->report : NULL, ok ? NULL : &t->why);
    /* The files are the caller's now; only their names are left to free. */
    for (size_t i = 0; ok && i < t->report.n_outputs; i++) {
        free(t->report.outputs[i].path);
        t->report.outputs[i].path = NULL;
    }
    ticket_free(ticket);
}

/* --- report
 * ----------------------------------------------------------------------------------- */

static enum err check_output(const struct render_ticket *t, const struct wire_output *o,
                             uint64_t output_pixels, struct fault *reterr)
{
    const struct ticket_want *w;

    if (o->index >= t->n_wants)
        return fault_set(reterr, ERR_CRASHED, 0, "the renderer reports output %u of %zu",
                         o->index, t->n_wants);
    w = &t->wants[o->index];
    if (t->report.outputs[o->index].path != NULL)
        return fault_set(reterr, ERR_CRASHED, 0, "the renderer reports output %u twice",
                         o->index);
    if (w->has_format && w->format != o->format)
        return fault_set(reterr, ERR_CRASHED, 0, "the renderer made %s of output %s",
                         image_format_name(o->format), w->name);
    if (!image_format_is_written(o->format) ||
        (o->frames != 1 && (o->frames == 0 || !image_format_moves(o->format))))
        return fault_set(reterr, ERR_CRASHED, 0,
                         "the renderer reports %u frames of %s for output %s", o->frames,
                         image_format_name(o->format), w->name);
    if (o->width == 0 || o->height == 0 || (uint64_t)o->width * o->height > output_pixels)
        return fault_set(reterr, ERR_CRASHED, 0,
                         "the renderer reports %u x %u pixels for output %s", o->width,
                         o->height, w->name);
    return ERR_OK;
}

static enum err take_output(struct render_ticket *t, const struct wire_output *o,
                            struct pool_dir_take *take, struct fault *reterr)
{
    struct render_output *to = &t->report.outputs[o->index];

    take->index = o->index;
    take->format = o->format;
    take->bytes = o->bytes;
    (void)slice_to_cstr(slice_str(t->wants[o->index].name), to->name, sizeof to->name);
    to->format = o->format;
    to->width = o->width;
    to->height = o->height;
    to->bytes = o->bytes;
    to->frames = o->frames;
    to->quality = o->quality;
    return pool_dir_take(take, &to->path, reterr);
}

static enum err take_outputs(struct render_ticket *t, const struct wire_report *r,
                             struct pool_dir_take *take, uint64_t output_pixels,
                             struct fault *reterr)
{
    enum err e = ERR_OK;

    if (r->n_outputs != t->n_wants)
        return fault_set(reterr, ERR_CRASHED, 0, "the renderer reports %zu outputs of %zu",
                         r->n_outputs, t->n_wants);
    t->report.outputs = calloc(t->n_wants + 1, sizeof *t->report.outputs);
    if (t->report.outputs == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for %zu outputs", t->n_wants);
    t->report.n_outputs = t->n_wants;
    for (size_t i = 0; i < r->n_outputs && e == ERR_OK; i++) {
        e = check_output(t, &r->outputs[i], output_pixels, reterr);
        if (e == ERR_OK)
            e = take_output(t, &r->outputs[i], take, reterr);
    }
    return e;
}

enum err ticket_take_report(struct render_ticket *t, const struct wire_report *r,
                            const char *dir, const char *spool, uint64_t output_pixels,
                            struct fault *reterr)
{
    struct pool_dir_take take = {
        .dir = dir, .spool = spool, .job = &t->job, .attempt = t->attempt};
    enum err e = take_outputs(t, r, &take, output_pixels, reterr);

    if (e != ERR_OK) {
        drop_outputs(t);
        return e;
    }
    if (r->has_info) {
        t->info = r->info;
        t->report.info = &t->info;
    }
    t->report.source_format = r->source_format;
    t->report.source_width = r->source_width;
    t->report.source_height = r->source_height;
    t->report.wall_ms = (uint32_t)((clock_now_us() - t->began_us) / 1000);
    t->report.cpu_ms = (uint32_t)(r->cpu_us / 1000);
    t->report.predicted_ms = (uint32_t)(r->predicted_us / 1000);
    t->report.peak_rss = r->peak_rss;
    return ERR_OK;
}
