/* services: the parts of a running worker that handlers and slots may use. Owned by daemon.c. */
#ifndef WORKER_SERVICES_H
#define WORKER_SERVICES_H

#include "queue/ledger.h"
#include "queue/producer.h"
#include "shared/http_client.h"
#include "shared/loop.h"
#include "shared/metrics.h"
#include "worker/notify/standard_webhooks.h"
#include "worker/options.h"
#include "worker/render/pool.h"

#define WEBHOOK_SECRETS_MAX 4

struct services {
    const struct worker_options *opt;
    const char *spool; /* the directory that is this worker's alone */
    struct log_ctx log;
    struct loop *loop;
    struct redis *redis;
    struct pg *pg;
    struct ledger *ledger;
    struct producer *producer;
    struct render_pool *pool;
    struct netguard *guard;
    struct http_client *http;
    struct result_memory *memory; /* NULL: results are not remembered */
    struct metrics *metrics;
    size_t fetching; /* image jobs that wait for their source, renderers left free */
    struct webhook_secret secrets[WEBHOOK_SECRETS_MAX];
    size_t n_secrets;
};

#endif
