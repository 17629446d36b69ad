/* flags: what the commands' own flags say. Each command has a table of those that it takes. */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include "shared/config.h"

struct flags {
    char *queue, *type, *error, *cursor, *then, *upload;
    char *file, *key, *unique, *idempotency_key;
    char *run_at, *expires_at, *retry, *chain, *edit;
    uint64_t expires_in_ms;
    unsigned unique_policy; /* an enum unique_policy */
    uint64_t unique_window_ms, cap_jobs, cap_bytes, cap_age_ms;
    bool no_caps;
    char *cron, *timezone, *start_at, *end_at;
    unsigned missed;          /* an enum schedule_missed */
    unsigned overlap, paused; /* 0: allow, no */
    unsigned state;           /* an enum job_state; 0: any */
    unsigned priority;        /* an enum job_priority */
    uint64_t limit, max_attempts, timeout_ms, delay_ms, count, wait_s, per_second,
        every_ms; /* 0: not given */
    bool dry_run;
    char *rate, *key_rate; /* of millrace limits */
    uint64_t running, key_running;
    bool none;
};

#define FLAG_AT(field) offsetof(struct flags, field)
/* In cfg_key.flags: the value may be left out, which means the maximum. */
#define FLAG_OPTIONAL 0x100u

#endif
