/* http_url: one parser for the URLs that requests go to.
 *
 * libcurl's own parser, so that what is checked is what is used, with its leniencies taken away:
 * absolute, no user or password, no port 0, no zone id, no bytes outside of a URL. */
#ifndef SHARED_HTTP_URL_H
#define SHARED_HTTP_URL_H

#include <curl/curl.h>

#include "shared/resolve.h"

#define HTTP_URL_MAX 8192

struct http_url {
    CURLU *parts; /* for CURLOPT_CURLU */
    char
        host[254]; /* no brackets, no final dot; odd numeric forms are dotted decimal already */
    uint16_t port;
    bool literal;    /* the host is an address */
    bool secure;     /* https, smtps */
    char label[272]; /* "example.com:443", for messages: a URL may hold secrets */
};

/* schemes: those accepted, ended by NULL. A zeroed http_url may be given to http_url_done(). */
MUST_USE enum err http_url_parse(const char *text, const char *const *schemes,
                                 struct http_url *ret, struct fault *reterr);
void http_url_done(struct http_url *url);

/* Ties the host's name to these addresses (CURLOPT_RESOLVE), so that easy never looks it up. *ret_pin
 * lives as long as the transfer. A literal needs no pin: *ret_pin is NULL then. */
MUST_USE enum err http_url_pin(CURL *easy, const struct http_url *url,
                               const struct resolved *found, struct curl_slist **ret_pin,
                               struct fault *reterr);

#endif
