#include "worker/render/pool_dir.h"
#include "worker/render/pool_renderer.h"

/* Nothing has been sent, so the renderer is as it was. */
static void refuse_order(struct renderer *r, enum err e, const struct fault *why)
{
    renderer_end_order(r, e, why);
    renderer_set_state(r, RENDERER_IDLE);
    pool_turn(r->pool);
}

static const struct render_ticket *must_ticket(const struct renderer *r)
{
    must(r->ticket != NULL);
    return r->ticket;
}

static void send_order(struct renderer *r)
{
    struct render_pool *p = r->pool;
    const struct render_ticket *t = must_ticket(r);
    struct wire_order m = {.id = t->id,
                           .pixels = p->limits.pixels,
                           .output_pixels = p->limits.output_pixels,
                           .output_bytes = p->limits.output_bytes,
                           .frames = p->limits.frames,
                           .cpu_ms = p->limits.cpu_ms,
                           .slow_us = t->slow ? 0 : p->slow_us,
                           .wide = t->wide,
                           .svg_bytes = p->limits.svg_bytes,
                           .args = buf_slice(&t->args)};
    struct buf frame = {0};
    struct fault why;

    wire_add_order(&frame, &m);
    if (pool_child_send(r->child, &frame) != ERR_OK)
        refuse_order(r, fault_set(&why, ERR_NOMEM, 0, "no memory for an order"), &why);
    buf_done(&frame);
}

/* i: which file of the order. */
static void refuse_file(struct renderer *r, size_t i, const struct fault *why)
{
    struct fault named = *why;

    if (i > 0)
        (void)fault_set(&named, why->err, why->native, "%s: %s",
                        must_ticket(r)->marks_at[i - 1], why->text);
    refuse_order(r, named.err, &named);
}

static void on_copied(uv_fs_t *req)
{
    struct renderer *r = req->data;
    ssize_t rc = req->result;
    struct fault why;

    uv_fs_req_cleanup(req);
    r->copying = false;
    if (r->state == RENDERER_DEAD)
        renderer_free_if_gone(r);
    else if (r->state == RENDERER_BUSY && rc < 0)
        refuse_order(
            r,
            fault_set(&why, ERR_IO, (int)-rc, "copy of the source: %s", uv_strerror((int)rc)),
            &why);
    else if (r->state == RENDERER_BUSY)
        renderer_feed(r);
}

static void copy_file(struct renderer *r, const char *from, const char *to)
{
    struct fault why;
    int rc;

    r->copy.data = r;
    rc = uv_fs_copyfile(r->pool->loop, &r->copy, from, to, UV_FS_COPYFILE_FICLONE, on_copied);
    r->copying = rc == 0;
    if (rc != 0)
        refuse_order(r, fault_set(&why, ERR_IO, -rc, "copy of the source: %s", uv_strerror(rc)),
                     &why);
}

/* One file after the other; goes on when one had to be copied. */
void renderer_feed(struct renderer *r)
{
    const struct render_ticket *t = must_ticket(r);

    while (r->next_file <= t->n_marks) {
        size_t i = r->next_file++;
        const char *from = i == 0 ? t->source : t->marks[i - 1];
        char *copy_to = NULL;
        struct fault why;
        enum err e =
            pool_dir_put(r->dir, from, i, r->pool->limits.source_bytes, &copy_to, &why);

        if (copy_to != NULL)
            copy_file(r, from, copy_to);
        else if (e != ERR_OK)
            refuse_file(r, i, &why);
        free(copy_to);
        if (e != ERR_OK)
            return;
    }
    send_order(r);
}
