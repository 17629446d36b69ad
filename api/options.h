/* options: the API's configuration, one table (shared/config.h). */
#ifndef API_OPTIONS_H
#define API_OPTIONS_H

#include "shared/config.h"

struct api_options {
    char *listen, *redis_url, *pg_url, *blob_dir;
    uint64_t connections, head_max, headers_max, body_max, bodies_max, upload_max, depth_max;
    uint64_t head_ms, body_ms, upload_ms, idle_ms, write_ms, drain_ms, upload_ttl_ms;
    uint64_t idempotency_ms, batch_jobs, batch_body_max, batch_recipes, line_max;
    uint64_t pending_jobs, schedules_max, redis_ms, pg_connections;
    uint64_t image_outputs, image_ops, image_marks;
    uint64_t watchers, wait_max_ms, heartbeat_ms, recipe_age_ms;
    bool pg_prepared;
    unsigned log_level, log_format;
};

extern const struct cfg_spec api_spec;

#endif
