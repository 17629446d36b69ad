/* options: the worker's configuration, one table (shared/config.h). */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include "shared/config.h"

struct worker_options {
    char *redis_url, *pg_url;
    char *queues, *instance, *host;
    char *spool_dir, *blob_dir, *path_roots, *render_program;
    uint64_t slots, concurrency, renderers, recycle_jobs, recycle_rss;
    uint64_t source_bytes, source_pixels, source_frames, output_pixels, output_bytes;
    uint64_t image_outputs, image_ops, image_marks;
    uint64_t render_memory, render_cpu_ms, slow_ms, slow_waiting;
    char *render_fonts;
    char *webhook_secrets, *outgoing_allow, *smtp_url, *smtp_user, *smtp_password, *mail_from,
        *ca_file, *metrics_listen;
    uint64_t source_timeout_ms, source_fetches, source_rate, source_stall_ms;
    uint64_t result_age_ms;
    uint64_t source_svg_bytes;
    bool result_memory, source_svg;
    bool smtp_tls;
    uint64_t webhook_timeout_ms;
    uint64_t beat_ms, lease_ms, schedule_grace_ms, drain_ms, retry_base_ms, retry_cap_ms;
    uint64_t crashes_max, pg_connections, ledger_held, salvage_look_ms, salvage_grace_ms;
    uint64_t sweep_every_ms, blob_grace_ms, blob_keep_ms;
    bool pg_prepared;
    unsigned log_level, log_format, queue_order;
};

extern const struct cfg_spec worker_spec;

#endif
