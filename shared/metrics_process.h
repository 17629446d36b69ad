/* metrics_process: what the kernel knows about this process, from /proc. */
#ifndef SHARED_METRICS_PROCESS_H
#define SHARED_METRICS_PROCESS_H

#include "shared/base.h"

/* What does not change while the process lives. */
struct metrics_process {
    double boot_time_s; /* Unix time */
    double ticks_per_s;
    uint64_t page_bytes;
};

struct metrics_process_values {
    uint64_t resident_bytes, open_fds;
    double start_time_s, cpu_s;
};

void metrics_process_init(struct metrics_process *p);
/* Gives false where there is no /proc. */
MUST_USE bool metrics_process_read(const struct metrics_process *p,
                                   struct metrics_process_values *ret);

#endif
