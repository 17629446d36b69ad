/* redis_server: a redis-server of a test program's own, on a unix socket in a fresh directory.
 *
 * Nothing is saved, unless it is durable: then the AOF is synced before each reply, so that what
 * was answered survives redis_server_kill(). What goes wrong here ends the test program. Linked
 * into every unit test, so it needs libc alone. */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include "shared/base.h"

struct redis_server;

struct redis_server *redis_server_new(bool durable);
void redis_server_free(struct redis_server **s); /* stops it and removes its directory */
/* After a kill: back on the same socket. Waits until it answers. */
void redis_server_start(struct redis_server *s);
void redis_server_kill(struct redis_server *s); /* SIGKILL; waits for its end */
/* While it is down: cuts so many bytes off its AOF. From then on no start mends the AOF before, as
 * it does otherwise. */
void redis_server_tear(struct redis_server *s, size_t bytes);
void redis_server_pause(struct redis_server *s, bool paused);

const char *redis_server_url(const struct redis_server *s);  /* unix:///... */
const char *redis_server_path(const struct redis_server *s); /* of the socket */

#endif
