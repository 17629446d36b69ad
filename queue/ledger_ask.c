#include "queue/ledger_internal.h"

enum err ledger_ask(struct pg *pg, const struct pg_query *q, pg_result_fn *cb, const void *with,
                    size_t size)
{
    void *ask = malloc(size);
    enum err e;

    if (ask == NULL)
        return ERR_NOMEM;
    memcpy(ask, with, size);
    e = pg_query(pg, q, cb, ask);
    if (e != ERR_OK)
        free(ask);
    return e;
}
