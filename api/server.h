/* server: listens, takes connections in, ends those that break a deadline, drains.
 *
 * Draining: the listeners close, idle connections close, the others after their answer. */
#ifndef API_SERVER_H
#define API_SERVER_H

#include <uv.h>

#include "api/api.h"

struct server;
struct conn;

MUST_USE enum err server_new(struct api *api, struct server **ret, struct fault *reterr);
/* Binds and listens; logs each address. */
MUST_USE enum err server_listen(struct server *s, struct fault *reterr);
bool server_is_draining(const struct server *s);
/* Answers under way may go on for drain_ms; on_closed runs last, when no connection is left, and s is gone then. */
void server_drain(struct server *s, uint64_t drain_ms, void (*on_closed)(void *arg), void *arg);

/* The Date field of answers, with its line end. */
const char *server_date(struct server *s);

/* For conn.c */
struct api *server_api(struct server *s);
void server_add(struct server *s, struct conn *c);
void server_remove(struct server *s, struct conn *c);
/* One buffer of 64 KiB for all reads: a read is parsed or copied before the next. */
uv_buf_t server_read_buffer(struct server *s);

#endif
