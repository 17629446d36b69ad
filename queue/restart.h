/* restart: makes a Redis that was started again safe to be started once more.
 *
 * A Redis that dies while it writes leaves a torn transaction at the end of its AOF (each of our
 * scripts is one). At the next start it takes nothing of it, but Redis 7 and 8 and Valkey up to 8 leave
 * its whole commands in the file, behind an opened MULTI; the start after that one then does carry
 * them out, in front of writes that knew nothing of them, and claimed jobs can vanish
 * (valkey-io/valkey#4342). Memory is right meanwhile, so the AOF is written anew from it, once
 * for each run of Redis. redis-check-aof --fix before each start does the same without the gap
 * in between (docs/operations.md); where that is done, this does no harm. */
#ifndef QUEUE_RESTART_H
#define QUEUE_RESTART_H

#include "shared/redis.h"

/* After each connect; cheap when Redis is the same as before. Best effort: where Redis forbids
 * BGREWRITEAOF, or keeps no AOF, nothing happens. log may be NULL; must outlive r. */
void restart_mend(struct redis *r, const struct log_ctx *log);

#endif
