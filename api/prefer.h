/* prefer: what a request would like (RFC 7240). A preference that does not parse is not there. */
#ifndef API_PREFER_H
#define API_PREFER_H

#include "api/request.h"

/* Seconds that the client would wait for the end of a job; 0: it does not ask for it. The first one counts. */
uint64_t prefer_wait(const struct request *rq);
/* In one field's value; false: not there. Exposed for its test. */
bool prefer_find(struct slice field, const char *name, struct slice *ret_value);

#endif
