/* pool_verdict: why a renderer died, in words for whoever reads the job. */
#ifndef WORKER_RENDER_POOL_VERDICT_H
#define WORKER_RENDER_POOL_VERDICT_H

#include "worker/render/pool_child.h"

/* Gives ERR_CRASHED, or ERR_TOO_BIG where the limit of processor time ended it, or ERR_MALFORMED where a library
 * panicked; native is the signal, or 0 for an exit. memory_limit: of its address space, 0: none. */
enum err pool_verdict(const struct pool_child_end *end, uint64_t memory_limit,
                      struct fault *ret);

#endif
