/* pool_child: one renderer as a process: its start, its socket, what it says on stderr, its
 * end. Knows nothing of orders.
 *
 *     new -> start -> messages ... -> on_end -> close
 *                          \-> on_garbage (nothing is read after it; kill it)
 *
 * The child's socket is its standard input and the way back; stdout is /dev/null; of what it
 * writes to stderr the last 2 KB are kept for the text of a crash, and a flood is cut off.
 * on_end comes once, when the process is gone and what it had still sent is read. No
 * callback comes from inside a call. */
#ifndef WORKER_RENDER_POOL_CHILD_H
#define WORKER_RENDER_POOL_CHILD_H

#include <uv.h>

#include "worker/render/wire.h"

#define POOL_CHILD_TAIL 2048

struct pool_child;
struct pool_child_end {
    int64_t status;
    int signal;                     /* 0: it exited with status */
    const char *tail;               /* the last of stderr, printable; "" if nothing */
    const struct wire_crash *crash; /* its last words, or NULL */
};
struct pool_child_events {
    void (*on_message)(void *arg, const struct wire_msg *msg);
    void (*on_garbage)(void *arg, const struct fault *why);
    void (*on_end)(void *arg, const struct pool_child_end *end);
};
struct pool_child_options {
    const char *program;
    const char *dir;   /* working directory */
    const char *fonts; /* a directory to read fonts from, or "" */
    bool svg;          /* it may be given SVG */
    uint64_t memory_bytes;
};

/* Borrows events, for life. */
MUST_USE enum err pool_child_new(uv_loop_t *loop, const struct pool_child_events *events,
                                 void *arg, struct pool_child **ret, struct fault *reterr);
/* After an error no event comes; close it. */
MUST_USE enum err pool_child_start(struct pool_child *c, const struct pool_child_options *opt,
                                   struct fault *reterr);
/* Takes the frame out of b. A child that is gone is no error here: on_end tells. */
MUST_USE enum err pool_child_send(struct pool_child *c, struct buf *b);
void pool_child_kill(struct pool_child *c);
/* Closes its input, which is how a renderer is told to leave. Nothing it says is heard any
 * more. */
void pool_child_dismiss(struct pool_child *c);
int pool_child_pid(const struct pool_child *c);
/* Takes *c, which must not run: never started, or after on_end. on_closed comes last. */
void pool_child_close(struct pool_child **c, void (*on_closed)(void *arg), void *arg);

#endif
