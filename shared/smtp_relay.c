#include <string.h>

#include "shared/smtp_session.h"

static char *copy(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

enum err smtp_relay_init(struct smtp_relay *r, const char *url, const char *user,
                         const char *password, bool require_tls, struct fault *reterr)
{
    static const char *const schemes[] = {"smtp", "smtps", NULL};
    enum err e;

    memset(r, 0, sizeof *r);
    user = user != NULL && user[0] == '\0' ? NULL : user;
    e = http_url_parse(url, schemes, &r->parsed, reterr);
    if (e != ERR_OK)
        return e;
    r->url = copy(url);
    r->user = copy(user);
    r->password = copy(password);
    r->require_tls = require_tls;
    if (r->url == NULL || (user != NULL && r->user == NULL) ||
        (password != NULL && r->password == NULL)) {
        smtp_relay_done(r);
        return fault_set(reterr, ERR_NOMEM, 0, "mail relay");
    }
    return ERR_OK;
}

void smtp_relay_done(struct smtp_relay *r)
{
    if (r->password != NULL)
        explicit_bzero(r->password, strlen(r->password));
    free(r->url);
    free(r->user);
    free(r->password);
    http_url_done(&r->parsed);
    memset(r, 0, sizeof *r);
}

bool smtp_relay_equal(const struct smtp_relay *a, const struct smtp_relay *b)
{
    return same(a->url, b->url) && same(a->user, b->user) && same(a->password, b->password) &&
           a->require_tls == b->require_tls;
}
