#include "shared/http_url.h"

#include <string.h>

#include "shared/buf.h"

static bool plain_bytes(const char *text)
{
    size_t len = 0;

    for (; text[len] != '\0'; len++) {
        unsigned char c = (unsigned char)text[len];

        if (c <= ' ' || c == 0x7f || c == '\\' || len == HTTP_URL_MAX)
            return false;
    }
    return len > 0;
}

/* "scheme://host...": libcurl would also take one slash or three. */
static enum err check_scheme(const char *text, const char *const *schemes, struct fault *reterr)
{
    for (; *schemes != NULL; schemes++) {
        size_t n = strlen(*schemes);

        if (strncasecmp(text, *schemes, n) == 0 && strncmp(text + n, "://", 3) == 0)
            return text[n + 3] != '/' ? ERR_OK
                                      : fault_set(reterr, ERR_MALFORMED, 0, "URL: no host");
    }
    return fault_set(reterr, ERR_MALFORMED, 0, "URL: its scheme is not among those accepted");
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '-' || c == '_';
}

/* The host without brackets. An absolute name's final dot goes, or libcurl would look for its pin in vain. */
static bool take_host(struct http_url *u, char *host)
{
    size_t len = strlen(host);
    struct sockaddr_storage addr;
    bool v6 = len > 2 && host[0] == '[' && host[len - 1] == ']';

    if (v6) {
        host[len - 1] = '\0';
        host++;
        len -= 2;
    } else if (len > 1 && host[len - 1] == '.') {
        host[--len] = '\0';
        if (curl_url_set(u->parts, CURLUPART_HOST, host, 0) != CURLUE_OK)
            return false;
    }
    if (len == 0 || len >= sizeof u->host || host[0] == '.')
        return false;
    for (size_t i = 0; i < len && !v6; i++) {
        if (!is_host_byte(host[i]))
            return false;
    }
    memcpy(u->host, host, len + 1);
    u->literal = resolve_literal(u->host, 0, &addr);
    return u->literal || !v6;
}

static bool has_part(CURLU *parts, CURLUPart what)
{
    char *text = NULL;
    bool has = curl_url_get(parts, what, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static bool take_port(struct http_url *u)
{
    char *text = NULL;
    unsigned long port = 0;

    if (curl_url_get(u->parts, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        port = strtoul(text, NULL, 10);
    curl_free(text);
    u->port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

static enum err take_parts(struct http_url *u, const char *text, struct fault *reterr)
{
    CURLUcode rc =
        curl_url_set(u->parts, CURLUPART_URL, text, CURLU_DISALLOW_USER | CURLU_URLENCODE);
    char *host = NULL;
    bool ok;

    if (rc == CURLUE_OUT_OF_MEMORY)
        return fault_set(reterr, ERR_NOMEM, 0, "URL");
    if (rc != CURLUE_OK)
        return fault_set(reterr, ERR_MALFORMED, (int)rc, "URL: %s", curl_url_strerror(rc));
    if (has_part(u->parts, CURLUPART_ZONEID))
        return fault_set(reterr, ERR_MALFORMED, 0, "URL: zone ids are not accepted");
    if (!take_port(u))
        return fault_set(reterr, ERR_MALFORMED, 0, "URL: no such port");
    ok = curl_url_get(u->parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && take_host(u, host);
    curl_free(host);
    if (!ok)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "URL: not a host name (international names go in their xn-- form)");
    return ERR_OK;
}

enum err http_url_parse(const char *text, const char *const *schemes, struct http_url *ret,
                        struct fault *reterr)
{
    struct http_url u = {0};
    enum err e;

    if (!plain_bytes(text))
        return fault_set(
            reterr, ERR_MALFORMED, 0,
            "URL: empty, over %d bytes, or with spaces, control bytes or backslashes",
            HTTP_URL_MAX);
    e = check_scheme(text, schemes, reterr);
    if (e != ERR_OK)
        return e;
    u.parts = curl_url();
    if (u.parts == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "URL");
    e = take_parts(&u, text, reterr);
    if (e != ERR_OK) {
        http_url_done(&u);
        return e;
    }
    u.secure = strncasecmp(text, "https:", 6) == 0 || strncasecmp(text, "smtps:", 6) == 0;
    (void)snprintf(u.label, sizeof u.label, strchr(u.host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                   u.host, u.port);
    *ret = u;
    return ERR_OK;
}

void http_url_done(struct http_url *url)
{
    curl_url_cleanup(url->parts);
    memset(url, 0, sizeof *url);
}

enum err http_url_pin(CURL *easy, const struct http_url *url, const struct resolved *found,
                      struct curl_slist **ret_pin, struct fault *reterr)
{
    AUTO(buf_done) struct buf line = {0};

    *ret_pin = NULL;
    if (url->literal)
        return ERR_OK;
    buf_addf(&line, "+%s:%u:", url->host, url->port); /* +: the entry may grow old */
    for (size_t i = 0; i < found->n; i++) {
        char text[RESOLVE_TEXT_SIZE];

        (void)resolve_text((const struct sockaddr *)&found->addr[i], text);
        *strrchr(text, ':') = '\0'; /* the port */
        buf_addf(&line, "%s%s", i == 0 ? "" : ",", text);
    }
    *ret_pin = buf_failed(&line) ? NULL : curl_slist_append(NULL, buf_cstr(&line));
    if (*ret_pin == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "%.120s", url->label);
    (void)curl_easy_setopt(easy, CURLOPT_RESOLVE, *ret_pin);
    return ERR_OK;
}
