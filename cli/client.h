/* client: a command's connections, used one question after the other.
 *
 * A command connects, starts one operation and waits for it; the loop turns only while it waits:
 *
 *     client_new -> client_redis / client_postgres -> start, client_wait -> ... -> client_close
 *
 * The operation's callback stores what it was told and calls client_answered(). It comes always:
 * when TIMEOUT is over, or at a signal, the connections are closed, so that what is in flight
 * ends (what a producer sends ends by its own deadline). After that, and after anything but CLI_DONE from a function that gives a code, only
 * client_close() is left to do; the reason has been told. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "cli/call.h"
#include "queue/producer.h"
#include "shared/pg.h"
#include "shared/redis.h"

struct client;

/* Borrows call. */
MUST_USE enum cli_exit client_new(struct call *call, struct client **ret);
/* Ends what is in flight, with callbacks. Copes with NULL. */
void client_close(struct client **p);

/* Connects, or says what is missing or why it cannot. */
MUST_USE enum cli_exit client_redis(struct client *c, struct redis **ret);
MUST_USE enum cli_exit client_postgres(struct client *c, struct pg **ret);
/* Where that is kept: NULL there once it is closed. */
struct pg *const *client_pg(const struct client *c);
/* After client_redis(). */
MUST_USE enum cli_exit client_producer(struct client *c, size_t max_pending,
                                       struct producer **ret);
/* Waits for what it has in flight; afterwards waiting is bounded by TIMEOUT again. */
void client_producer_done(struct client *c);

/* Turns the loop until client_answered(); gives what that was told. started: what the start of
 * the operation gave; unless it is ERR_OK nothing is waited for, and it is given back. */
MUST_USE enum err client_wait(struct client *c, enum err started);
void client_answered(struct client *c, enum err e);
struct uv_loop_s *client_loop(const struct client *c);
/* At a signal: nothing new is to be started. */
bool client_gave_up(const struct client *c);
/* ERR_OK after that time, or when what client_hear() listens for was heard; ERR_CANCELED at a signal. */
MUST_USE enum err client_pause(struct client *c, uint64_t ms);
/* After client_redis(), once: from now on changes of this job are heard, as long as client_ask_events() is called every
 * EVENTS_ASK_MS. Best effort. */
void client_hear(struct client *c, const char *queue, const struct uuid *id);
/* Asks for messages if it is time to; best effort. Gives whether changes are heard now. */
bool client_ask_events(struct client *c);

/* Tells why a question to Redis (PostgreSQL) had no answer. ERR_OK and ERR_NOT_FOUND have no place here. */
enum cli_exit client_redis_failed(struct client *c, enum err e);
enum cli_exit client_postgres_failed(struct client *c, enum err e);

#endif
