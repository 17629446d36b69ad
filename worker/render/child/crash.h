/* crash: last words. When a codec dies by a signal, the worker is told by which, and how
 * much memory was in use: the process is gone before anybody could look. */
#ifndef WORKER_RENDER_CHILD_CRASH_H
#define WORKER_RENDER_CHILD_CRASH_H

/* Sends a crash message to fd (wire.h) on SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGILL and
 * SIGFPE, then dies of that signal as if nothing had been caught. */
void crash_catch(int fd);

#endif
