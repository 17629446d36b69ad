/* router: which endpoint a method and a path belong to. One table, in router.c. */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/request.h"

enum route_verdict { ROUTE_OK, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* Fills rq->endpoint and rq->params from rq->method and rq->path; HEAD takes the GET row. allow (64 bytes) gets the methods that the path
 * has, for 405. */
enum route_verdict router_match(struct request *rq, char allow[64]);
/* The matching alone: path against pattern. */
bool router_fits(const char *pattern, struct slice path,
                 struct slice params[REQUEST_PARAMS_MAX]);

#endif
