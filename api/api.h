/* api: the parts that endpoints may use. Owned by service.c. */
#ifndef API_API_H
#define API_API_H

#include "api/options.h"
#include "queue/producer.h"
#include "shared/loop.h"
#include "shared/metrics.h"
#include "shared/pg.h"
#include "shared/redis.h"

struct server;
struct watch_hub;

struct api {
    const struct api_options *opt;
    struct log_ctx log;
    struct loop *loop;
    struct redis *redis;
    struct pg *pg;
    struct producer *producer;
    struct recipes *recipes;
    struct watch_hub *watch;
    struct metrics *metrics;
    struct server *server;
    bool schema_known;
    unsigned schema_version;     /* what PostgreSQL said last */
    uint64_t bodies;             /* bytes of request bodies held now */
    struct counter *requests[6]; /* by status class, [2] is 2xx */
    struct histogram *latency;
    struct gauge *body_bytes, *redis_up, *pg_up; /* set when they are printed */
};

#endif
