/* by_id: requests about one thing that has a UUID, which their path names first. */
#ifndef API_BY_ID_H
#define API_BY_ID_H

#include "api/request.h"

/* False: it is none, and the request is answered: "there is no such <what>". */
MUST_USE bool by_id_read(struct request *rq, const char *what, struct uuid *ret);

/* A question about it that is under way: free() it after the answer. */
struct by_id {
    struct request *rq;
    struct uuid id;
};
/* NULL: answered. */
struct by_id *by_id_new(struct request *rq, const char *what);

#endif
