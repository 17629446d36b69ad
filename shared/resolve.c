#include "shared/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons(port);
}

static enum err keep_allowed(const struct resolve *r, const struct addrinfo *all,
                             struct resolved *found, struct fault *reterr)
{
    found->n = 0;
    for (const struct addrinfo *ai = all; ai != NULL && found->n < RESOLVE_MAX;
         ai = ai->ai_next) {
        struct sockaddr_storage *at = &found->addr[found->n];

        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
            continue;
        if (r->guard != NULL && netguard_check(r->guard, ai->ai_addr, reterr) != ERR_OK)
            continue;
        memset(at, 0, sizeof *at);
        memcpy(at, ai->ai_addr, ai->ai_addrlen);
        set_port(at, r->port);
        found->n++;
    }
    if (found->n > 0)
        return ERR_OK;
    if (reterr->err != ERR_OK)
        return reterr->err; /* the guard's last refusal */
    return fault_set(reterr, ERR_UNREACHABLE, 0, "%s: no address", r->host);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *all)
{
    struct resolve *r = CONTAINER(req, struct resolve, req);
    struct fault why = {.err = ERR_OK};
    struct resolved found;
    enum err e;

    r->running = false;
    if (status == UV_ECANCELED || req->data == NULL)
        e = fault_set(&why, ERR_CANCELED, 0, "%s: canceled", r->host);
    else if (status != 0)
        e = fault_set(&why, ERR_UNREACHABLE, status, "%s: %s", r->host, uv_strerror(status));
    else
        e = keep_allowed(r, all, &found, &why);
    uv_freeaddrinfo(all);
    r->cb(r->arg, e, e == ERR_OK ? &found : NULL, &why); /* may free r */
}

enum err resolve_start(struct resolve *r, uv_loop_t *loop, const char *host, uint16_t port,
                       struct fault *reterr)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    size_t len = strlen(host);
    int rc;

    if (len == 0 || len >= sizeof r->host)
        return fault_set(reterr, ERR_MALFORMED, 0, "a host name of %zu bytes", len);
    memcpy(r->host, host, len + 1);
    r->port = port;
    r->req.data = r; /* NULL: canceled */
    rc = uv_getaddrinfo(loop, &r->req, on_resolved, r->host, NULL, &hints);
    if (rc != 0)
        return fault_set(reterr, rc == UV_ENOMEM ? ERR_NOMEM : ERR_MALFORMED, rc, "%s: %s",
                         host, uv_strerror(rc));
    r->running = true;
    return ERR_OK;
}

void resolve_cancel(struct resolve *r)
{
    if (!r->running)
        return;
    r->req.data = NULL;
    (void)uv_cancel(
        (uv_req_t *)&r->req); /* refused once a thread has it: then the callback is late */
}

char *resolve_text(const struct sockaddr *addr, char dst[RESOLVE_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

        (void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        (void)snprintf(dst, RESOLVE_TEXT_SIZE, "[%s]:%u", ip, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

        (void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        (void)snprintf(dst, RESOLVE_TEXT_SIZE, "%s:%u", ip, ntohs(in->sin_port));
    }
    return dst;
}

bool resolve_literal(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(text);

    memset(ret, 0, sizeof *ret);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= sizeof bare)
        return false;
    memcpy(bare, text, len);
    bare[len] = '\0';
    if (inet_pton(AF_INET, bare, &((struct sockaddr_in *)ret)->sin_addr) == 1)
        ret->ss_family = AF_INET;
    else if (inet_pton(AF_INET6, bare, &((struct sockaddr_in6 *)ret)->sin6_addr) == 1)
        ret->ss_family = AF_INET6;
    else
        return false;
    set_port(ret, port);
    return true;
}
