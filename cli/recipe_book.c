#include "cli/recipe_book.h"

#include <string.h>

#include "cli/client.h"
#include "queue/ledger_recipes.h"
#include "shared/json.h"

struct fetch {
    struct client *client;
    struct buf *packed;
};

struct slice cli_recipes_find(void *arg, const struct recipe_ref *ref)
{
    const struct cli_recipes *r = arg;

    for (size_t i = 0; i < r->n; i++) {
        if (r->kept[i].ref.version == ref->version &&
            strcmp(r->kept[i].ref.name, ref->name) == 0)
            return buf_slice(&r->kept[i].packed);
    }
    return slice_of(NULL, 0);
}

static void on_body(void *arg, enum err e, struct slice json)
{
    struct fetch *f = arg;
    struct fault why;

    if (e == ERR_OK)
        e = json_to_msgpack(json, JOB_DEPTH_MAX, f->packed, &why);
    client_answered(f->client, e);
}

static enum cli_exit ask(struct fetch *f, const struct call *call, const struct recipe_ref *ref)
{
    char text[RECIPE_REF_SIZE];
    struct pg *pg = NULL;
    enum cli_exit code = client_postgres(f->client, &pg);
    enum err e;

    if (code != CLI_DONE)
        return code;
    e = client_wait(f->client, ledger_recipe_find(pg, ref, on_body, f));
    if (e == ERR_NOT_FOUND)
        return call_fail(call, CLI_NOT_FOUND, "there is no recipe %s",
                         recipe_ref_text(ref, text));
    return e == ERR_OK ? CLI_DONE : client_postgres_failed(f->client, e);
}

enum cli_exit cli_recipes_fetch(struct cli_recipes *r, const struct call *call,
                                const struct recipe_ref *ref)
{
    struct call own = *call; /* a client writes nothing into it */
    struct fetch f = {.client = NULL};
    enum cli_exit code;

    if (r->n == RECIPE_BOOK_MAX)
        return call_fail(call, CLI_FAILED, "more than %d recipes in one job", RECIPE_BOOK_MAX);
    f.packed = &r->kept[r->n].packed;
    code = client_new(&own, &f.client);
    if (code == CLI_DONE)
        code = ask(&f, call, ref);
    client_close(&f.client);
    if (code == CLI_DONE)
        r->kept[r->n++].ref = *ref;
    else
        buf_done(f.packed);
    return code;
}

void cli_recipes_done(struct cli_recipes *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_done(&r->kept[i].packed);
}
