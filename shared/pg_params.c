#include <arpa/inet.h>
#include <string.h>

#include "shared/pg_internal.h"

/* Before the connection string's own, which win: gssencmode. Behind them, so that they win:
 * client_encoding, host, hostaddr, port. fallback_application_name yields by itself. And the NULL. */
#define EXTRA_PARAMS 7

static void add_param(struct pg_params *params, const char *keyword, const char *value)
{
    if (value == NULL)
        return;
    params->keywords[params->n] = keyword;
    params->values[params->n] = value;
    params->n++;
    params->keywords[params->n] = NULL;
    params->values[params->n] = NULL;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0)
            return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
    }
    return NULL;
}

/* What libpq says of a bad connection string may quote all of it, password included. */
static enum err bad_url(const char *said, struct fault *reterr)
{
    const char *first, *last;

    if (said == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL's connection string: out of memory");
    first = strchr(said, '"');
    last = strrchr(said, '"');
    if (first == NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "PostgreSQL's connection string: %.*s",
                         (int)strcspn(said, "\n"), said);
    return fault_set(reterr, ERR_MALFORMED, 0,
                     "PostgreSQL's connection string: %.*s\"***\"%.*s", (int)(first - said),
                     said, (int)strcspn(last + 1, "\n"), last + 1);
}

static bool needs_lookup(const char *name)
{
    struct sockaddr_storage ignored;

    if (name[0] == '\0' || name[0] == '/' || name[0] == '@') /* unix sockets */
        return false;
    /* An address with a zone ("fe80::1%eth0") is no name either. */
    return strchr(name, '%') == NULL && !resolve_literal(name, 0, &ignored);
}

static size_t count_items(const char *list)
{
    size_t n = 1;

    for (const char *c = list; *c != '\0'; c++)
        n += *c == ',' ? 1 : 0;
    return n;
}

/* Cuts the first item off *list. */
static char *next_item(char **list)
{
    return strsep(list, ",");
}

static enum err split_hosts(struct pg_params *params, const char *hosts, const char *ports,
                            struct fault *reterr)
{
    size_t n = count_items(hosts);
    size_t n_ports = ports == NULL ? 0 : count_items(ports);
    char *left, *all;

    if (n_ports > 1 && n_ports != n)
        return fault_set(reterr, ERR_MALFORMED, 0, "%zu ports for %zu hosts of PostgreSQL",
                         n_ports, n);
    params->hosts = calloc(n, sizeof *params->hosts);
    params->ports = ports == NULL ? NULL : strdup(ports);
    all = strdup(hosts);
    if (params->hosts == NULL || all == NULL || (ports != NULL && params->ports == NULL)) {
        free(all);
        return fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL's hosts: out of memory");
    }
    params->hosts[0].name = all; /* the memory of all names */
    left = all;
    for (size_t i = 0; i < n; i++) {
        params->hosts[i].name = next_item(&left);
        params->hosts[i].lookup = needs_lookup(params->hosts[i].name);
    }
    left = params->ports;
    for (size_t i = 0; i < n_ports; i++)
        params->hosts[i].port = next_item(&left);
    for (size_t i = 1; i < n && n_ports == 1; i++)
        params->hosts[i].port = params->hosts[0].port;
    params->n_hosts = n;
    return ERR_OK;
}

/* Where the connection string names no host the environment may; but then not over a service. */
static enum err find_hosts(struct pg_params *params, struct fault *reterr)
{
    const char *hosts = value_of(params->parsed, "host");
    const char *address = value_of(params->parsed, "hostaddr");

    if (hosts == NULL && value_of(params->parsed, "service") == NULL) {
        hosts = value_of(params->defaults, "host");
        address = address == NULL ? value_of(params->defaults, "hostaddr") : address;
    }
    if (hosts == NULL || address != NULL)
        return ERR_OK;
    return split_hosts(params, hosts, value_of(params->parsed, "port"), reterr);
}

static enum err collect(struct pg_params *params, const struct pg_options *opt,
                        struct fault *reterr)
{
    size_t n = EXTRA_PARAMS;

    for (const PQconninfoOption *o = params->parsed; o->keyword != NULL; o++)
        n++;
    params->keywords = calloc(n, sizeof *params->keywords);
    params->values = calloc(n, sizeof *params->values);
    params->application = opt->application == NULL ? NULL : strdup(opt->application);
    if (params->keywords == NULL || params->values == NULL ||
        (opt->application != NULL && params->application == NULL))
        return fault_set(reterr, ERR_NOMEM, 0, "PostgreSQL's settings: out of memory");
    /* GSSAPI may look for its servers in the DNS, blocking. */
    add_param(params, "gssencmode", "disable");
    add_param(params, "fallback_application_name", params->application);
    for (const PQconninfoOption *o = params->parsed; o->keyword != NULL; o++)
        add_param(params, o->keyword, o->val);
    add_param(params, "client_encoding", "UTF8");
    return ERR_OK;
}

enum err pg_params_init(struct pg_params *params, const struct pg_options *opt,
                        struct fault *reterr)
{
    char *said = NULL;
    enum err e;

    memset(params, 0, sizeof *params);
    params->parsed = PQconninfoParse(opt->url, &said);
    if (params->parsed == NULL) {
        e = bad_url(said, reterr);
        PQfreemem(said);
        return e;
    }
    params->defaults = PQconndefaults();
    e = find_hosts(params, reterr);
    if (e == ERR_OK)
        e = collect(params, opt, reterr);
    if (e != ERR_OK)
        pg_params_done(params);
    return e;
}

void pg_params_done(struct pg_params *params)
{
    PQconninfoFree(params->parsed);
    PQconninfoFree(params->defaults);
    free(params->application);
    free(params->ports);
    free(params->keywords);
    free(params->values);
    if (params->hosts != NULL)
        free(params->hosts[0].name);
    free(params->hosts);
    memset(params, 0, sizeof *params);
}

PGconn *pg_params_connect(struct pg_params *params, const char *hosts, const char *addresses,
                          const char *ports)
{
    size_t n = params->n;
    PGconn *pq;

    if (hosts[0] != '\0')
        add_param(params, "host", hosts);
    if (addresses[0] != '\0')
        add_param(params, "hostaddr", addresses);
    if (ports[0] != '\0')
        add_param(params, "port", ports);
    pq = PQconnectStartParams(params->keywords, params->values, 0);
    params->n = n;
    params->keywords[n] = NULL;
    params->values[n] = NULL;
    return pq;
}
