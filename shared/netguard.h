/* netguard: which addresses an outgoing request may reach.
 *
 * Public unicast only, unless the operator allows more. IPv6 forms that carry an IPv4 address
 * (mapped, compatible, NAT64, 6to4, Teredo) are judged by the address inside too: both must pass,
 * except that a mapped address is nothing but the IPv4 address.
 * The ranges: IANA special-purpose registries; see the table in netguard.c. */
#ifndef SHARED_NETGUARD_H
#define SHARED_NETGUARD_H

#include <sys/socket.h>

#include "shared/err.h"

struct netguard;

/* allow: comma-separated CIDRs that are let through although private ("127.0.0.0/8,10.1.0.0/16,::1"), or NULL. */
MUST_USE enum err netguard_new(const char *allow, struct netguard **ret, struct fault *reterr);
void netguard_free(struct netguard **g);
/* ERR_OK or ERR_FORBIDDEN; the text names the range. */
MUST_USE enum err netguard_check(const struct netguard *g, const struct sockaddr *addr,
                                 struct fault *reterr);

#endif
