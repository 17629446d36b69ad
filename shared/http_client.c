#include "shared/http_client.h"

#include <string.h>

#include "shared/curl_loop.h"
#include "shared/http_request.h"
#include "shared/smtp_pool.h"

enum { REPLY_MAX_BYTES = 64 * 1024, PER_HOST = 8, KEPT_CONNECTIONS = 64 };

struct http_client {
    struct http_conf conf;
    struct http_transfers transfers;
    struct smtp_pool *smtp;
    bool closing;
    http_client_closed_fn *on_closed;
    void *closed_arg;
};

/* --- the end ---------------------------------------------------------------------------------- */

static void free_client(struct http_client *c)
{
    smtp_pool_free(&c->smtp);
    free(c->conf.user_agent);
    free(c->conf.ca_file);
    free(c);
}

static void on_curl_closed(void *arg)
{
    struct http_client *c = arg;
    http_client_closed_fn *on_closed = c->on_closed;
    void *closed_arg = c->closed_arg;

    free_client(c);
    on_closed(closed_arg);
}

static void close_if_quiet(void *arg)
{
    struct http_client *c = arg;

    if (c->closing && c->conf.curl != NULL && c->transfers.n == 0 &&
        smtp_pool_is_quiet(c->smtp))
        curl_loop_close(&c->conf.curl, on_curl_closed, c);
}

void http_client_close(struct http_client **pc, http_client_closed_fn *on_closed, void *arg)
{
    struct http_client *c = *pc;

    *pc = NULL;
    c->closing = true;
    c->on_closed = on_closed;
    c->closed_arg = arg;
    for (struct http_transfer *t = c->transfers.first; t != NULL; t = t->next)
        http_client_cancel(t);
    smtp_pool_close(c->smtp);
    close_if_quiet(c);
}

/* --- the start -------------------------------------------------------------------------------- */

static enum err copy_options(struct http_client *c, uv_loop_t *loop,
                             const struct http_client_options *opt, struct fault *reterr)
{
    c->conf.loop = loop;
    c->conf.transfers = &c->transfers;
    c->conf.guard = opt->guard;
    c->conf.max_reply_bytes =
        opt->max_reply_bytes == 0 ? REPLY_MAX_BYTES : opt->max_reply_bytes;
    c->conf.log = opt->log;
    c->conf.user_agent = strdup(opt->user_agent == NULL ? "millrace" : opt->user_agent);
    c->conf.ca_file = opt->ca_file == NULL ? NULL : strdup(opt->ca_file);
    if (c->conf.user_agent == NULL || (opt->ca_file != NULL && c->conf.ca_file == NULL))
        return fault_set(reterr, ERR_NOMEM, 0, "HTTP client");
    return ERR_OK;
}

static void set_limits(CURLM *multi, unsigned per_host)
{
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)per_host);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
}

enum err http_client_new(uv_loop_t *loop, const struct http_client_options *opt,
                         struct http_client **ret, struct fault *reterr)
{
    struct http_client *c = calloc(1, sizeof *c);
    unsigned per_host = opt->max_per_host == 0 ? PER_HOST : opt->max_per_host;
    enum err e;

    if (c == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "HTTP client");
    c->transfers = (struct http_transfers){.on_freed = close_if_quiet, .arg = c};
    e = copy_options(c, loop, opt, reterr);
    if (e == ERR_OK)
        e = smtp_pool_new(&(struct smtp_pool_options){.loop = loop,
                                                      .transfers = &c->transfers,
                                                      .ca_file = c->conf.ca_file,
                                                      .max_sessions = per_host,
                                                      .on_quiet = close_if_quiet,
                                                      .arg = c},
                          &c->smtp, reterr);
    if (e == ERR_OK)
        e = curl_loop_new(loop, &c->conf.curl, reterr); /* last: its end is not at once */
    if (e != ERR_OK) {
        free_client(c);
        return e;
    }
    set_limits(curl_loop_multi(c->conf.curl), per_host);
    *ret = c;
    return ERR_OK;
}

enum err http_client_send(struct http_client *c, const struct http_request *req,
                          http_answer_fn *cb, void *arg, struct http_transfer **ret,
                          struct fault *reterr)
{
    if (c->closing)
        return fault_set(reterr, ERR_CANCELED, 0, "the HTTP client closes");
    return http_request_start(&c->conf, req, cb, arg, ret, reterr);
}

enum err http_client_mail(struct http_client *c, const struct smtp_mail *mail,
                          http_answer_fn *cb, void *arg, struct http_transfer **ret,
                          struct fault *reterr)
{
    if (c->closing)
        return fault_set(reterr, ERR_CANCELED, 0, "the HTTP client closes");
    return smtp_pool_mail(c->smtp, mail, cb, arg, ret, reterr);
}
