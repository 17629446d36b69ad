/* err: what went wrong, and whether trying again can help. */
#ifndef SHARED_ERR_H
#define SHARED_ERR_H

#include "shared/base.h"

enum err_class { ERR_CLASS_NONE, ERR_CLASS_RETRY, ERR_CLASS_FINAL, ERR_CLASS_BUG };

/*        name        value  class  text                            */
/* clang-format off */
#define ERR_TABLE(X)                                                    \
    X(OK,            0, NONE,  "ok")                                    \
    X(NOMEM,        -1, RETRY, "out of memory")                         \
    X(UNREACHABLE,  -2, RETRY, "peer refused or closed the link")       \
    X(TIMEOUT,      -3, RETRY, "deadline passed")                       \
    X(CANCELED,     -4, RETRY, "canceled by shutdown")                  \
    X(MALFORMED,    -5, FINAL, "input does not parse")                  \
    X(TOO_BIG,      -6, FINAL, "input over the configured limit")       \
    X(REJECTED,     -7, FINAL, "peer answered no")                      \
    X(INTERNAL,     -8, BUG,   "a case this code does not handle")      \
    X(BUSY,         -9, RETRY, "no room now")                           \
    X(NOT_FOUND,   -10, FINAL, "no such thing")                         \
    X(FORBIDDEN,   -11, FINAL, "not allowed by configuration")          \
    X(UNSUPPORTED, -12, FINAL, "kind of input that is not supported")   \
    X(IO,          -13, RETRY, "file or disk error")                    \
    X(CRASHED,     -14, RETRY, "the process that did the work died")    \
    X(STALE,       -15, FINAL, "a newer attempt owns the job")          \
    X(EXISTS,      -16, FINAL, "another one of it is there already")    \
    X(EXPIRED,     -17, FINAL, "too late to begin it")                  \
    X(LIMITED,     -18, RETRY, "a limit of the queue is reached")       \
    X(LOST,        -19, RETRY, "the worker died, or was lost, with the job")
/* clang-format on */

enum err {
#define X(name, value, class, text) ERR_##name = (value),
    ERR_TABLE(X)
#undef X
};

/* Details for humans; filled only on failure, and only if asked for (non-NULL). */
struct fault {
    enum err err;
    int native; /* errno, CURLcode, HTTP status, signal...; 0 when none */
    char text[200];
};

const char *err_name(enum err e); /* "TIMEOUT": stable, for rows, metrics and machines */
const char *err_text(enum err e);
const char *err_errno(int number); /* strerror() that threads may share */
enum err_class err_class(enum err e);
/* The err whose name this is; ERR_INTERNAL for an unknown one. */
enum err err_from_name(const char *name);

/* Fills *reterr (may be NULL) and gives back e, so one line can do both:
 *     return fault_set(reterr, ERR_TIMEOUT, 0, "GET %s", url);           */
enum err fault_set(struct fault *reterr, enum err e, int native, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#endif
