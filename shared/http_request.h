/* http_request: one outgoing HTTP request, from the check of its URL to its answer. For http_client.c only.
 *
 *     resolve --> (guard) --> transfer in libcurl --> answer
 *        \____________\______________\____________> fault: deadline, cancel, refusal            */
#ifndef SHARED_HTTP_REQUEST_H
#define SHARED_HTTP_REQUEST_H

#include "shared/curl_loop.h"
#include "shared/http_client.h"
#include "shared/http_transfer.h"

/* What all requests of one client share; outlives them. */
struct http_conf {
    uv_loop_t *loop;
    struct curl_loop *curl;
    struct http_transfers *transfers;
    const struct netguard *guard;
    char *user_agent, *ca_file; /* ca_file may be NULL */
    size_t max_reply_bytes;
    const struct log_ctx *log;
};

MUST_USE enum err http_request_start(const struct http_conf *conf,
                                     const struct http_request *req, http_answer_fn *cb,
                                     void *arg, struct http_transfer **ret,
                                     struct fault *reterr);

#endif
