/* servers: real servers for unit tests, each private to the test process.
 *
 * A server lives in a fresh directory below $TMPDIR (or /tmp), listens on a unix socket there and
 * on a loopback port of its own, and dies with the test process. As root it runs as the user
 * postgres, because PostgreSQL refuses root. What goes wrong here is told on stderr and ends the
 * test program: a test without its server has nothing to say. Blocking; any thread, one at a time.
 *
 * Linked into every unit test, so it needs libc alone: psql does the talking. */
#ifndef TESTS_UNIT_SERVERS_H
#define TESTS_UNIT_SERVERS_H

#include <sys/types.h>

#include "shared/base.h"

_Noreturn void servers_die(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* snprintf() that ends the program if the text does not fit. */
void servers_format(char *dst, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A new directory, mode 0700, of the user that servers run as. */
#define SERVERS_DIR_SIZE 64
void servers_dir_make(char dir[SERVERS_DIR_SIZE]);
void servers_dir_remove(const char *dir); /* with all below it */
/* A port on 127.0.0.1 where nobody listens at this moment. */
uint16_t servers_free_port(void);
/* Starts argv[0], a path, as the servers' user; its output is added to dir/log. */
pid_t servers_spawn(const char *dir, const char *const *argv);
/* Runs argv[0], a path, as this process' user; gives what it printed, without the last newlines,
 * to be freed. */
char *servers_output(const char *const *argv, int *ret_status);
/* Waits for the end of a child; gives its wait status. */
int servers_reap(pid_t pid);
/* Lets 10 ms pass, for loops that ask whether a server is ready; *tries counts, and after some
 * 60 s of them the test program ends, saying what it waited for. */
void servers_breathe(unsigned *tries, const char *waiting_for);

struct pgserver;
/* Whether there is a PostgreSQL to be run; if not, skip(). */
bool pgserver_installed(void);
/* initdb and start: slow, so once a test program (group setup). fsync is off, UTF8, 50
 * connections. All may log in without a password, but for the user "locked", whose password is
 * "sesame". */
struct pgserver *pgserver_new(void);
void pgserver_free(struct pgserver **s); /* stops it and removes its directory */
/* After stop or kill: back with its data, on the same socket and port. Waits until it serves. */
void pgserver_start(struct pgserver *s);
void pgserver_stop(struct pgserver *s);   /* orderly, cutting connections */
void pgserver_kill(struct pgserver *s);   /* SIGKILL to all its processes */
void pgserver_pause(struct pgserver *s);  /* SIGSTOP to all its processes */
void pgserver_resume(struct pgserver *s); /* SIGCONT */
/* Through the unix socket, as the superuser, database postgres. */
const char *pgserver_url(const struct pgserver *s);
const char *pgserver_dir(const struct pgserver *s); /* where the socket is */
uint16_t pgserver_port(const struct pgserver *s);
/* Runs SQL, several statements allowed, and gives what it printed, tuples only, the columns of a
 * row separated by '|', without the last newline. To be freed. An error ends the test program. */
char *pgserver_ask(const struct pgserver *s, const char *sql);
void pgserver_run(const struct pgserver *s, const char *sql); /* the same, for its effect */

#endif
