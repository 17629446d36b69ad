/* redis_url: where a Redis is, taken from one line of text.
 *
 *     redis://[[user]:password@]host[:port][/db]          port 6379, db 0
 *     unix://[[user]:password@]/path/redis.sock[?db=n]
 *
 * User, password and path are percent-decoded. No fault ever quotes the user or the password. */
#ifndef SHARED_REDIS_URL_H
#define SHARED_REDIS_URL_H

#include "shared/err.h"

struct redis_url {
    char *host;            /* without brackets; NULL for a unix socket */
    char *path;            /* of the unix socket; NULL for TCP */
    char *user, *password; /* NULL: none; a user comes with a password */
    char *where;           /* the URL without user and password */
    unsigned db;
    uint16_t port;
};

/* Fills *ret, also in part when it fails: redis_url_done() either way. ERR_MALFORMED names the
 * rule that the text breaks. */
MUST_USE enum err redis_url_parse(const char *text, struct redis_url *ret,
                                  struct fault *reterr);
/* Wipes the password. A zeroed struct is fine. */
void redis_url_done(struct redis_url *u);

#endif
