/* session: the renderer's side of the pipe: orders in, one at a time, progress and reports
 * out. Blocking. */
#ifndef WORKER_RENDER_CHILD_SESSION_H
#define WORKER_RENDER_CHILD_SESSION_H

#include "worker/render/wire.h"

MUST_USE enum err session_hello(int fd, const struct wire_hello *hello);
/* Gives ERR_OK when the worker has closed its end, which is how a renderer is dismissed. */
MUST_USE enum err session_run(int fd);

#endif
