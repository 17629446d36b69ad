/* self: what this process costs. The files of /proc are opened before the sandbox closes
 * them off, and stay open. Reading is safe in a signal handler. */
#ifndef WORKER_RENDER_CHILD_SELF_H
#define WORKER_RENDER_CHILD_SELF_H

#include "shared/base.h"

struct self_memory {
    uint64_t rss, peak_rss, peak_vm; /* bytes; 0 where the kernel does not tell */
};

void self_open(void);
/* Two arenas for all threads. Call before anything is allocated. */
void self_tame_malloc(void);
/* Gives freed memory back to the system if much of it is held. */
void self_trim(void);
/* The peak begins anew at what is resident now. */
void self_reset_peak(void);
void self_read_memory(struct self_memory *ret);
/* User and system time of all threads so far. */
uint64_t self_cpu_us(void);
/* So much processor time more, and SIGXCPU ends the process; 0: no limit. In whole seconds, up. */
void self_limit_cpu(uint64_t ms);
/* Threads of this process; 0 if that cannot be told. Not after sandbox_files(). */
unsigned self_count_threads(void);

#endif
