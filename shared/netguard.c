#include "shared/netguard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "shared/slice.h"

#define TEXT_SIZE  64
#define ALLOW_MAX  64
#define V4_LEN     4
#define V6_LEN     16
#define MAPPED_LEN 12 /* ::ffff: before the four bytes of IPv4 */

struct cidr {
    uint8_t bytes[V6_LEN];
    size_t len; /* V4_LEN or V6_LEN */
    unsigned bits;
};

struct range {
    const char *text, *use;
};

/* IANA's special-purpose registries, and one cloud's metadata address. */
static const struct range refused[] = {
    {"0.0.0.0/8", "this network"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "carrier-grade NAT"},
    {"127.0.0.0/8", "loopback"},
    {"168.63.129.16/32", "cloud platform"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "protocol assignments"},
    {"192.0.2.0/24", "documentation"},
    {"192.31.196.0/24", "AS112"},
    {"192.52.193.0/24", "AMT"},
    {"192.88.99.0/24", "6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"192.175.48.0/24", "AS112"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"::1/128", "loopback"},
    {"::/128", "unspecified"},
    {"64:ff9b::/96", "NAT64"},
    {"64:ff9b:1::/48", "local NAT64"},
    {"100::/64", "discard"},
    {"100:0:0:1::/64", "dummy prefix"},
    {"2001::/23", "protocol assignments"},
    {"2001:db8::/32", "documentation"},
    {"2002::/16", "6to4"},
    {"2620:4f:8000::/48", "AS112"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
    /* Public unicast is 2000::/3; the rest is reserved, and stays refused when it is given out. */
    {"::/3", "not global unicast"},
    {"4000::/2", "not global unicast"},
    {"8000::/1", "not global unicast"},
};

/* IPv6 forms that carry an IPv4 address: packets to them may end there. */
static const struct form {
    const char *prefix;
    size_t at;
    bool inverted;
} forms[] = {
    {"::/96", 12, false},          /* IPv4-compatible */
    {"64:ff9b::/96", 12, false},   /* NAT64 */
    {"64:ff9b:1::/48", 12, false}, /* NAT64, any prefix in it of 96 bits */
    {"2002::/16", 2, false},       /* 6to4 */
    {"2001::/32", 12, true},       /* Teredo: the client's address, hidden from NATs */
};
#define LOCAL_NAT64 2 /* in forms */

struct netguard {
    struct cidr forms[COUNT_OF(forms)];
    struct cidr refused[COUNT_OF(refused)];
    struct cidr allowed[ALLOW_MAX];
    size_t n_allowed;
};

static bool cidr_holds(const struct cidr *c, const struct cidr *addr)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->len != addr->len || memcmp(c->bytes, addr->bytes, whole) != 0)
        return false;
    return rest == 0 || (c->bytes[whole] ^ addr->bytes[whole]) >> (8 - rest) == 0;
}

static bool prefix_is_clean(const struct cidr *c)
{
    for (unsigned bit = c->bits; bit < c->len * 8; bit++) {
        if ((c->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0)
            return false;
    }
    return true;
}

static bool is_mapped(const struct cidr *c)
{
    static const uint8_t prefix[MAPPED_LEN] = {[10] = 0xff, [11] = 0xff};

    return c->len == V6_LEN && memcmp(c->bytes, prefix, MAPPED_LEN) == 0;
}

static struct cidr v4_at(const uint8_t *bytes)
{
    struct cidr v4 = {.len = V4_LEN, .bits = V4_LEN * 8};

    memcpy(v4.bytes, bytes, V4_LEN);
    return v4;
}

/* A decimal number of up to three digits, nothing around it. */
static bool parse_bits(const char *text, unsigned most, unsigned *ret)
{
    unsigned n = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 3 || strspn(text, "0123456789") != len)
        return false;
    for (; *text != '\0'; text++)
        n = n * 10 + (unsigned)(*text - '0');
    *ret = n;
    return n <= most;
}

/* "10.0.0.0/8", "::1"; without a slash it is one address. */
static bool parse_cidr(struct slice text, struct cidr *ret)
{
    char addr[TEXT_SIZE], *slash;
    struct cidr c = {.len = V4_LEN};

    if (!slice_to_cstr(text, addr, sizeof addr))
        return false;
    slash = strchr(addr, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, addr, c.bytes) != 1) {
        c.len = V6_LEN;
        if (inet_pton(AF_INET6, addr, c.bytes) != 1)
            return false;
    }
    c.bits = (unsigned)c.len * 8;
    if (slash != NULL && !parse_bits(slash + 1, c.bits, &c.bits))
        return false;
    *ret = c;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static enum err allow_one(struct netguard *g, struct slice text, struct fault *reterr)
{
    struct cidr c;

    text = trim(text);
    if (g->n_allowed == ALLOW_MAX)
        return fault_set(reterr, ERR_TOO_BIG, 0, "more than %d allowed networks", ALLOW_MAX);
    if (!parse_cidr(text, &c))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "\"" SLICE_FMT "\" is not a network such as 10.1.0.0/16 or fd00::/8",
                         (int)(text.len < TEXT_SIZE ? text.len : TEXT_SIZE), text.ptr);
    if (!prefix_is_clean(&c))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         SLICE_FMT " has bits set behind its prefix: which network is meant?",
                         SLICE_ARG(text));
    if (is_mapped(&c) && c.bits >= MAPPED_LEN * 8) {
        unsigned bits = c.bits - MAPPED_LEN * 8;

        c = v4_at(c.bytes + MAPPED_LEN); /* addresses are judged in this form too */
        c.bits = bits;
    }
    g->allowed[g->n_allowed++] = c;
    return ERR_OK;
}

static enum err allow_list(struct netguard *g, struct slice list, struct fault *reterr)
{
    enum err e = ERR_OK;

    if (trim(list).len == 0)
        return ERR_OK;
    for (;;) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma == NULL ? list.len : (size_t)(comma - list.ptr);

        e = allow_one(g, slice_of(list.ptr, n), reterr);
        if (e != ERR_OK || comma == NULL)
            return e;
        list = slice_of(comma + 1, list.len - n - 1);
    }
}

enum err netguard_new(const char *allow, struct netguard **ret, struct fault *reterr)
{
    struct netguard *g = calloc(1, sizeof *g);
    enum err e;

    if (g == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the list of networks");
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        must(parse_cidr(slice_str(refused[i].text), &g->refused[i]));
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        must(parse_cidr(slice_str(forms[i].prefix), &g->forms[i]));
    e = allow_list(g, slice_str(allow == NULL ? "" : allow), reterr);
    if (e != ERR_OK) {
        netguard_free(&g);
        return e;
    }
    *ret = g;
    return ERR_OK;
}

void netguard_free(struct netguard **g)
{
    free(*g);
    *g = NULL;
}

/* NULL: may be reached. */
static const struct range *find_refusal(const struct netguard *g, const struct cidr *addr)
{
    for (size_t i = 0; i < g->n_allowed; i++) {
        if (cidr_holds(&g->allowed[i], addr))
            return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (cidr_holds(&g->refused[i], addr))
            return &refused[i];
    }
    return NULL;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static bool find_inside(const struct netguard *g, const struct cidr *addr, struct cidr *ret)
{
    const uint8_t *b = addr->bytes;
    size_t i = 0;

    if (is_zero(b, V6_LEN - 1) && b[V6_LEN - 1] <= 1)
        return false; /* :: and ::1 are themselves */
    while (i < COUNT_OF(forms) && !cidr_holds(&g->forms[i], addr))
        i++;
    if (i == COUNT_OF(forms))
        return false;
    *ret = v4_at(b + forms[i].at);
    /* With a prefix of 48 bits the address follows it, steps over byte 8, and zeros end it (RFC 6052 2.2). */
    if (i == LOCAL_NAT64 && is_zero(b + 11, 5))
        *ret = v4_at((const uint8_t[]){b[6], b[7], b[9], b[10]});
    for (size_t k = 0; k < V4_LEN && forms[i].inverted; k++)
        ret->bytes[k] ^= 0xff;
    return true;
}

static const char *show(const struct cidr *addr, char dst[TEXT_SIZE])
{
    return inet_ntop(addr->len == V4_LEN ? AF_INET : AF_INET6, addr->bytes, dst, TEXT_SIZE);
}

static enum err check(const struct netguard *g, const struct cidr *addr, struct fault *reterr)
{
    const struct range *r = find_refusal(g, addr);
    char outer[TEXT_SIZE], inner[TEXT_SIZE];
    struct cidr inside;

    if (r != NULL)
        return fault_set(reterr, ERR_FORBIDDEN, 0, "%s is in %s (%s)", show(addr, outer),
                         r->text, r->use);
    if (addr->len == V4_LEN || !find_inside(g, addr, &inside))
        return ERR_OK;
    r = find_refusal(g, &inside);
    if (r == NULL)
        return ERR_OK;
    return fault_set(reterr, ERR_FORBIDDEN, 0, "%s carries %s, which is in %s (%s)",
                     show(addr, outer), show(&inside, inner), r->text, r->use);
}

enum err netguard_check(const struct netguard *g, const struct sockaddr *addr,
                        struct fault *reterr)
{
    struct cidr a = {.len = V6_LEN, .bits = V6_LEN * 8};

    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;

        a = v4_at((const uint8_t *)&in->sin_addr);
    } else if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)addr;

        memcpy(a.bytes, &in6->sin6_addr, V6_LEN);
        if (is_mapped(&a))
            a = v4_at(a.bytes + MAPPED_LEN); /* what the kernel connects to is IPv4 */
    } else {
        return fault_set(reterr, ERR_FORBIDDEN, 0, "an address that is neither IPv4 nor IPv6");
    }
    return check(g, &a, reterr);
}
