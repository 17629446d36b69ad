/* noop: a job that does nothing, for tests and for measuring what the system itself costs.
 *
 * It can pretend to work for a while (work_ms), fail (fail_attempts, fail_final), and tell in its result
 * when it was started, on the machine's monotonic clock (clock). */
#include "shared/clock.h"
#include "worker/handler.h"

struct noop {
    struct loop_later later;
    uv_timer_t timer;
    bool has_timer;
    struct spec_noop spec;
    struct slot *slot;
    enum err err;
};

static void on_closed(uv_handle_t *h)
{
    free(CONTAINER(h, struct noop, timer));
}

static void finish(struct noop *n)
{
    struct slot *s = n->slot;
    struct fault why;
    enum err e = n->err;
    bool fails = n->spec.fail_final || s->claim.attempt <= n->spec.fail_attempts;

    if (e == ERR_OK && fails)
        e = n->spec.fail_final ? ERR_REJECTED : ERR_BUSY;
    (void)fault_set(&why, e, 0, "%s", n->err == ERR_OK ? "asked to fail" : err_text(n->err));
    if (n->has_timer)
        uv_close((uv_handle_t *)&n->timer, on_closed);
    else
        free(n);
    slot_done(s, e, &why);
}

static void on_later(void *arg)
{
    finish(arg);
}

static void on_timer(uv_timer_t *t)
{
    finish(CONTAINER(t, struct noop, timer));
}

static void tell_time(struct slot *s)
{
    msgpack_packer pk;

    mp_packer(&pk, slot_result(s));
    msgpack_pack_map(&pk, 1);
    mp_str(&pk, "started_us");
    msgpack_pack_uint64(&pk, clock_now_us());
}

static enum err start(struct slot *s, struct fault *reterr)
{
    struct noop *n = calloc(1, sizeof *n);

    if (n == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the job");
    must(spec_noop_parse(&s->args, "/args", &n->spec, NULL) == ERR_OK); /* checked before */
    n->slot = s;
    s->work = n;
    if (n->spec.clock)
        tell_time(s);
    if (n->spec.work_ms == 0) {
        loop_later(s->sv->loop, &n->later, on_later, n);
        return ERR_OK;
    }
    n->has_timer = true;
    must(uv_timer_init(loop_uv(s->sv->loop), &n->timer) == 0);
    must(uv_timer_start(&n->timer, on_timer, n->spec.work_ms, 0) == 0);
    return ERR_OK;
}

static void stop(struct slot *s)
{
    struct noop *n = s->work;

    n->err = ERR_CANCELED;
    if (n->has_timer)
        must(uv_timer_start(&n->timer, on_timer, 0, 0) == 0);
}

const struct handler handler_noop = {.type = "noop", .start = start, .stop = stop};
