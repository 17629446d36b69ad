#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "shared/pg_internal.h"

static resolve_fn on_resolved;

void pg_lookup_init(struct pg_lookup *l, uv_loop_t *loop, const struct pg_params *params,
                    pg_lookup_fn *done, void *arg)
{
    memset(l, 0, sizeof *l);
    l->loop = loop;
    l->params = params;
    l->done = done;
    l->arg = arg;
    l->resolve.cb = on_resolved;
    l->resolve.arg = l;
}

static void add_item(struct buf *list, bool first, const char *item)
{
    if (!first)
        buf_add_char(list, ',');
    buf_add_str(list, item);
}

/* libpq takes three lists of one length. It connects to the address where there is one; the name
 * beside it is what the certificate is checked against, and the key into .pgpass. */
static void add_host(struct pg_lookup *l, const char *address)
{
    const struct pg_host *h = &l->params->hosts[l->at];
    bool first = l->n_found == 0;

    add_item(&l->hosts, first, h->name);
    add_item(&l->addresses, first, address);
    if (h->port != NULL)
        add_item(&l->ports, first, h->port);
    l->n_found++;
}

static void add_address(struct pg_lookup *l, const struct sockaddr_storage *a)
{
    socklen_t len =
        a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char text[NI_MAXHOST];

    if (getnameinfo((const struct sockaddr *)a, len, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) == 0)
        add_host(l, text);
}

static void note(struct pg_lookup *l, const struct fault *why)
{
    (void)snprintf(l->why, sizeof l->why, "%s", why->text);
}

/* Gives false when it has to wait for the resolver. */
static bool go_on(struct pg_lookup *l)
{
    for (; l->at < l->params->n_hosts; l->at++) {
        const struct pg_host *h = &l->params->hosts[l->at];
        struct fault why;

        if (!h->lookup)
            add_host(l, "");
        else if (resolve_start(&l->resolve, l->loop, h->name, 0, &why) == ERR_OK)
            return false;
        else
            note(l, &why);
    }
    return true;
}

static void on_resolved(void *arg, enum err e, const struct resolved *found,
                        const struct fault *why)
{
    struct pg_lookup *l = arg;

    if (e == ERR_CANCELED) {
        l->done(l->arg);
        return;
    }
    if (e != ERR_OK)
        note(l, why);
    for (size_t i = 0; found != NULL && i < found->n; i++)
        add_address(l, &found->addr[i]);
    l->at++;
    if (go_on(l))
        l->done(l->arg);
}

bool pg_lookup_start(struct pg_lookup *l)
{
    return go_on(l);
}

void pg_lookup_cancel(struct pg_lookup *l)
{
    resolve_cancel(&l->resolve);
}

/* Makes the k-th item of a comma list the first. */
static void rotate(struct buf *list, size_t k)
{
    struct buf turned = {0};
    const char *from = list->data;

    if (buf_failed(list) || list->len == 0)
        return;
    for (; k > 0 && from != NULL; k--) {
        from = strchr(from, ',');
        from = from == NULL ? NULL : from + 1;
    }
    if (from == NULL || from == list->data)
        return;
    buf_add_str(&turned, from);
    buf_add_char(&turned, ',');
    buf_add(&turned, list->data, (size_t)(from - 1 - list->data));
    buf_done(list);
    *list = turned;
}

void pg_lookup_turn(struct pg_lookup *l, unsigned failed)
{
    size_t k = l->n_found > 1 ? failed % l->n_found : 0;

    rotate(&l->hosts, k);
    rotate(&l->addresses, k);
    rotate(&l->ports, k);
}

bool pg_lookup_found(const struct pg_lookup *l)
{
    if (buf_failed(&l->hosts) || buf_failed(&l->addresses) || buf_failed(&l->ports))
        return false;
    return l->n_found > 0 || l->params->n_hosts == 0;
}

void pg_lookup_done(struct pg_lookup *l)
{
    buf_done(&l->hosts);
    buf_done(&l->addresses);
    buf_done(&l->ports);
}
