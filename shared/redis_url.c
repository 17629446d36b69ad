#include "shared/redis_url.h"

#include <sys/un.h>

#include "shared/slice.h"

#define REDIS_PORT   6379
#define HOST_MAX     253
#define DB_MAX       999999
#define SUN_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static enum err broken(struct fault *reterr, const char *rule)
{
    return fault_set(reterr, ERR_MALFORMED, 0, "Redis URL: %s", rule);
}

static enum err no_memory(struct fault *reterr)
{
    return fault_set(reterr, ERR_NOMEM, 0, "Redis URL: out of memory");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool take_number(struct slice s, unsigned max, unsigned *ret)
{
    unsigned n = 0;

    if (s.len == 0 || s.len > 7)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
        n = n * 10 + (unsigned)(s.ptr[i] - '0');
    }
    if (n > max)
        return false;
    *ret = n;
    return true;
}

static struct slice tail_of(struct slice s, size_t from)
{
    return slice_of(s.ptr + from, s.len - from);
}

/* How many bytes of s stand before the first one of `ends`. */
static size_t length_until(struct slice s, const char *ends)
{
    for (size_t i = 0; i < s.len; i++) {
        if (strchr(ends, s.ptr[i]) != NULL)
            return i;
    }
    return s.len;
}

/* The byte that the escape at the start of s stands for; 0 for a broken one (and for %00). */
static char escaped(struct slice s)
{
    int high, low;

    if (s.len < 3)
        return '\0';
    high = hex_value(s.ptr[1]);
    low = hex_value(s.ptr[2]);
    if (high < 0 || low < 0)
        return '\0';
    return (char)(high * 16 + low);
}

/* Gives a heap copy of s with its escapes undone. Broken escapes and control bytes are refused. */
static enum err unescape(struct slice s, char **ret)
{
    char *text = malloc(s.len + 1);
    size_t n = 0;

    if (text == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            c = escaped(tail_of(s, i));
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) {
            free(text);
            return ERR_MALFORMED;
        }
        text[n++] = c;
    }
    text[n] = '\0';
    *ret = text;
    return ERR_OK;
}

static enum err decode(struct slice s, char **ret, const char *rule, struct fault *reterr)
{
    enum err e = unescape(s, ret);

    if (e == ERR_NOMEM)
        return no_memory(reterr);
    return e == ERR_OK ? ERR_OK : broken(reterr, rule);
}

/* "user:password", ":password" */
static enum err take_login(struct slice s, struct redis_url *u, struct fault *reterr)
{
    size_t user_len = length_until(s, ":");
    enum err e;

    if (user_len == s.len)
        return broken(reterr, "write user:password@ or :password@ before the host");
    if (user_len + 1 == s.len)
        return broken(reterr, "the password is empty");
    e = decode(tail_of(s, user_len + 1), &u->password, "the password holds a bad %-escape",
               reterr);
    if (e != ERR_OK || user_len == 0)
        return e;
    return decode(slice_of(s.ptr, user_len), &u->user, "the user holds a bad %-escape", reterr);
}

/* Drops what stands before the last '@' of the authority (all up to '/', '?' or '#'). */
static enum err skip_login(struct slice *rest, struct redis_url *u, struct fault *reterr)
{
    size_t authority = length_until(*rest, "/?#");
    size_t at = authority;
    enum err e;

    while (at > 0 && rest->ptr[at - 1] != '@')
        at--;
    if (at == 0)
        return ERR_OK;
    e = take_login(slice_of(rest->ptr, at - 1), u, reterr);
    *rest = tail_of(*rest, at);
    return e;
}

static bool is_host_char(char c, bool bracketed)
{
    if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return strchr(bracketed ? ":.%-_" : ".-_", c) != NULL && c != '\0';
}

static bool is_host(struct slice s, bool bracketed)
{
    if (s.len == 0 || s.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_host_char(s.ptr[i], bracketed))
            return false;
    }
    return true;
}

/* "host", "host:port", "[::1]:port" */
static enum err take_authority(struct slice s, struct redis_url *u, struct fault *reterr)
{
    bool bracketed = s.len > 0 && s.ptr[0] == '[';
    struct slice inner = bracketed ? tail_of(s, 1) : s;
    size_t len = length_until(inner, bracketed ? "]" : ":");
    struct slice host = slice_of(inner.ptr, len);
    struct slice port;
    unsigned n = REDIS_PORT;

    if (bracketed && len == inner.len)
        return broken(reterr, "the host's '[' has no ']'");
    port = tail_of(inner, bracketed ? len + 1 : len);
    if (!is_host(host, bracketed))
        return broken(reterr, "the host is missing or holds a character that no host has "
                              "(escape / ? # @ in a password)");
    if (port.len > 0 &&
        (port.ptr[0] != ':' || !take_number(tail_of(port, 1), 65535, &n) || n == 0))
        return broken(reterr, "the port must be a number from 1 to 65535");
    u->port = (uint16_t)n;
    u->host = strndup(host.ptr, host.len);
    return u->host == NULL ? no_memory(reterr) : ERR_OK;
}

static enum err name_place(struct redis_url *u, struct fault *reterr)
{
    int n;

    if (u->path != NULL)
        n = asprintf(&u->where, "unix://%s?db=%u", u->path, u->db);
    else if (strchr(u->host, ':') != NULL)
        n = asprintf(&u->where, "redis://[%s]:%u/%u", u->host, u->port, u->db);
    else
        n = asprintf(&u->where, "redis://%s:%u/%u", u->host, u->port, u->db);
    if (n >= 0)
        return ERR_OK;
    u->where = NULL;
    return no_memory(reterr);
}

static enum err take_tcp(struct slice rest, struct redis_url *u, struct fault *reterr)
{
    size_t len = length_until(rest, "/?#");
    struct slice db = tail_of(rest, len);
    enum err e = take_authority(slice_of(rest.ptr, len), u, reterr);

    if (e != ERR_OK)
        return e;
    if (db.len > 0 && db.ptr[0] != '/')
        return broken(reterr, "only /db may follow the host");
    if (db.len > 1 && !take_number(tail_of(db, 1), DB_MAX, &u->db))
        return broken(reterr, "the database must be a number, as in redis://host:6379/2");
    return name_place(u, reterr);
}

static enum err take_unix(struct slice rest, struct redis_url *u, struct fault *reterr)
{
    size_t len = length_until(rest, "?#");
    struct slice query = tail_of(rest, len);
    enum err e;

    if (rest.len == 0 || rest.ptr[0] != '/')
        return broken(reterr, "a unix socket needs an absolute path: unix:///path/redis.sock");
    e = decode(slice_of(rest.ptr, len), &u->path, "the path holds a bad %-escape", reterr);
    if (e != ERR_OK)
        return e;
    if (strlen(u->path) > SUN_PATH_MAX)
        return broken(reterr, "the socket's path is too long for the system (107 bytes)");
    if (query.len > 0 &&
        (!slice_starts(query, "?db=") || !take_number(tail_of(query, 4), DB_MAX, &u->db)))
        return broken(reterr, "only ?db=number may follow the socket's path");
    return name_place(u, reterr);
}

enum err redis_url_parse(const char *text, struct redis_url *ret, struct fault *reterr)
{
    struct slice s = slice_str(text);
    bool tcp = slice_starts(s, "redis://");
    enum err e;

    *ret = (struct redis_url){0};
    if (slice_starts(s, "rediss://"))
        return fault_set(reterr, ERR_UNSUPPORTED, 0,
                         "Redis URL: TLS is not supported, use a unix socket or a tunnel");
    if (!tcp && !slice_starts(s, "unix://"))
        return broken(reterr, "it must begin with redis:// or unix://");
    s = tail_of(s, strlen(tcp ? "redis://" : "unix://"));
    e = skip_login(&s, ret, reterr);
    if (e != ERR_OK)
        return e;
    return tcp ? take_tcp(s, ret, reterr) : take_unix(s, ret, reterr);
}

void redis_url_done(struct redis_url *u)
{
    if (u->password != NULL)
        explicit_bzero(u->password, strlen(u->password));
    free(u->host);
    free(u->path);
    free(u->user);
    free(u->password);
    free(u->where);
    *u = (struct redis_url){0};
}
