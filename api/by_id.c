#include "api/by_id.h"

#include "api/reply.h"

bool by_id_read(struct request *rq, const char *what, struct uuid *ret)
{
    if (uuid_parse(rq->params[0], ret))
        return true;
    reply_problem(rq, 404, NULL, "there is no such %s: an id is a UUID", what);
    return false;
}

struct by_id *by_id_new(struct request *rq, const char *what)
{
    struct by_id *b;
    struct uuid id;

    if (!by_id_read(rq, what, &id))
        return NULL;
    b = malloc(sizeof *b);
    if (b == NULL)
        reply_problem(rq, 503, NULL, "no memory for the answer");
    else
        *b = (struct by_id){.rq = rq, .id = id};
    return b;
}
