#include <sysexits.h>

#include "queue/spec.h"
#include "shared/log.h"
#include "shared/loop.h"
#include "worker/daemon.h"
#include "worker/options.h"

/* Beyond DRAIN: time to write the last rows and to say goodbye to Redis. */
#define GOODBYE_MS 15000

struct program {
    struct worker_options opt;
    struct loop *loop;
    struct daemon *daemon;
};

static void on_closed(void *arg)
{
    struct program *p = arg;

    loop_stop(p->loop);
}

static void on_drain(void *arg)
{
    struct program *p = arg;

    if (p->daemon != NULL)
        daemon_drain(&p->daemon, p->opt.drain_ms, on_closed, p);
}

static int serve(struct program *p)
{
    struct fault why;
    bool clean;

    if (loop_new(&p->loop, &why) != ERR_OK ||
        daemon_new(p->loop, &p->opt, &p->daemon, &why) != ERR_OK) {
        log_error(NULL, "start.failed", LOG_S("error", err_name(why.err)),
                  LOG_S("why", why.text));
        (void)loop_free(&p->loop);
        return EX_CONFIG;
    }
    loop_on_drain(p->loop, p->opt.drain_ms + GOODBYE_MS, on_drain, p);
    daemon_start(p->daemon);
    clean = loop_run(p->loop);
    if (loop_free(&p->loop) > 0)
        clean = false;
    log_info(NULL, "stopped", LOG_B("clean", clean));
    return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct program p = {0};
    enum cfg_verdict v = cfg_load(&worker_spec, argc, argv, &p.opt);
    int rc;

    if (v != CFG_GO)
        return v == CFG_EXIT_OK ? EXIT_SUCCESS : EX_CONFIG;
    log_setup("millrace-worker", (enum log_level)p.opt.log_level,
              (enum log_format)p.opt.log_format);
    cfg_log(&worker_spec, &p.opt, NULL);
    spec_image_set_limits(&(struct spec_image_limits){
        .outputs = p.opt.image_outputs, .ops = p.opt.image_ops, .marks = p.opt.image_marks});
    rc = serve(&p);
    cfg_done(&worker_spec, &p.opt);
    return rc;
}
