/* resolve: a host name to the addresses that may be used, off the loop (uv_getaddrinfo).
 *
 * Where a guard is given, only the addresses that it lets through are kept; if it refuses all, the
 * answer is ERR_FORBIDDEN and names the range. Loop thread only. */
#ifndef SHARED_RESOLVE_H
#define SHARED_RESOLVE_H

#include <uv.h>

#include "shared/netguard.h"

#define RESOLVE_MAX       8 /* further addresses are dropped */
#define RESOLVE_TEXT_SIZE 64

struct resolved {
    struct sockaddr_storage addr[RESOLVE_MAX]; /* the port is filled in */
    size_t n;
};

/* found is borrowed for the call; NULL unless ERR_OK. */
typedef void resolve_fn(void *arg, enum err e, const struct resolved *found,
                        const struct fault *why);

/* Embedded by its owner, who fills in the first three and keeps it until the callback. */
struct resolve {
    const struct netguard *guard; /* NULL: all pass */
    resolve_fn *cb;
    void *arg;
    uv_getaddrinfo_t req;
    uint16_t port;
    bool running;
    char host[254];
};

/* A start that fails never calls back. */
MUST_USE enum err resolve_start(struct resolve *r, uv_loop_t *loop, const char *host,
                                uint16_t port, struct fault *reterr);
/* The callback comes with ERR_CANCELED; at once if the request was still waiting, else when the
 * resolver lets go of it, for a running getaddrinfo() cannot be stopped. */
void resolve_cancel(struct resolve *r);

/* "203.0.113.7:443", "[2001:db8::1]:443". Gives dst. */
char *resolve_text(const struct sockaddr *addr, char dst[RESOLVE_TEXT_SIZE]);
/* An address in its usual notation, with or without brackets around IPv6. */
MUST_USE bool resolve_literal(const char *text, uint16_t port, struct sockaddr_storage *ret);

#endif
