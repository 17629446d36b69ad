#include <sysexits.h>

#include "api/options.h"
#include "api/service.h"
#include "queue/spec.h"
#include "shared/log.h"
#include "shared/loop.h"

#define GOODBYE_MS 5000 /* beyond DRAIN, to close what is left */

struct program {
    struct api_options opt;
    struct loop *loop;
    struct service *service;
};

static void on_closed(void *arg)
{
    struct program *p = arg;

    loop_stop(p->loop);
}

static void on_drain(void *arg)
{
    struct program *p = arg;

    service_drain(&p->service, p->opt.drain_ms, on_closed, p);
}

static bool start(struct program *p, struct fault *why)
{
    if (loop_new(&p->loop, why) != ERR_OK ||
        service_new(p->loop, &p->opt, &p->service, why) != ERR_OK)
        return false;
    loop_on_drain(p->loop, p->opt.drain_ms + GOODBYE_MS, on_drain, p);
    return service_start(p->service, why) == ERR_OK;
}

static int serve(struct program *p)
{
    struct fault why = {0};
    bool started = start(p, &why), clean;

    if (!started)
        log_error(NULL, "start.failed", LOG_S("error", err_name(why.err)),
                  LOG_S("why", why.text));
    if (p->loop == NULL)
        return EX_CONFIG;
    if (!started)
        loop_drain(p->loop);
    clean = p->service == NULL || loop_run(p->loop);
    if (loop_free(&p->loop) > 0)
        clean = false;
    log_info(NULL, "stopped", LOG_B("clean", clean));
    return !started ? EX_CONFIG : clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct program p = {0};
    enum cfg_verdict v = cfg_load(&api_spec, argc, argv, &p.opt);
    int rc;

    if (v != CFG_GO)
        return v == CFG_EXIT_OK ? EXIT_SUCCESS : EX_CONFIG;
    log_setup("millrace-api", (enum log_level)p.opt.log_level,
              (enum log_format)p.opt.log_format);
    cfg_log(&api_spec, &p.opt, NULL);
    spec_image_set_limits(&(struct spec_image_limits){
        .outputs = p.opt.image_outputs, .ops = p.opt.image_ops, .marks = p.opt.image_marks});
    rc = serve(&p);
    cfg_done(&api_spec, &p.opt);
    return rc;
}
