#include "cli/recipe_book.h"

#include "cli/client.h"
#include "queue/ledger_recipes.h"
#include "shared/json.h"

struct fetch {
    struct client *client;
    struct buf *packed;
};

static enum recipe_found find(void *arg, const struct recipe_ref *ref, struct slice *ret)
{
    struct cli_recipes *r = arg;

    for (size_t i = 0; i < r->n; i++) {
        struct cli_recipe *kept = &r->kept[i];

        if (!recipe_ref_eq(&kept->ref, ref))
            continue;
        *ret = buf_slice(&kept->packed);
        if (kept->packed.len > 0)
            return RECIPE_HERE;
        r->missing = &kept->ref;
        return RECIPE_NONE;
    }
    return RECIPE_ELSEWHERE;
}

void cli_recipes_init(struct cli_recipes *r, const struct call *call, struct client *client)
{
    *r = (struct cli_recipes){.book = {.find = find, .arg = r},
                              .call = *call, /* a client writes nothing into it */
                              .client = client,
                              .borrowed = client != NULL};
}

static void forget(struct cli_recipes *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_done(&r->kept[i].packed);
    r->n = 0;
}

void cli_recipes_done(struct cli_recipes *r)
{
    forget(r);
    if (!r->borrowed)
        client_close(&r->client);
}

static void on_body(void *arg, enum err e, struct slice json)
{
    struct fetch *f = arg;
    struct fault why;

    if (e == ERR_OK)
        e = json_to_msgpack(json, JOB_DEPTH_MAX, f->packed, &why);
    client_answered(f->client, e);
}

static enum cli_exit open_postgres(struct cli_recipes *r)
{
    enum cli_exit code = CLI_DONE;

    if (r->pg != NULL)
        return CLI_DONE;
    if (r->client == NULL)
        code = client_new(&r->call, &r->client);
    return code == CLI_DONE ? client_postgres(r->client, &r->pg) : code;
}

/* One job has room for its own, however many others have been named before. */
static enum cli_exit fetch(struct cli_recipes *r)
{
    enum cli_exit code = open_postgres(r);
    struct cli_recipe *kept;
    struct fetch f;
    enum err e;

    if (code != CLI_DONE)
        return code;
    if (r->n == RECIPES_PER_JOB)
        forget(r);
    kept = &r->kept[r->n];
    *kept = (struct cli_recipe){.ref = r->book.wanted};
    f = (struct fetch){.client = r->client, .packed = &kept->packed};
    e = client_wait(r->client, ledger_recipe_find(r->pg, &kept->ref, on_body, &f));
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        buf_done(&kept->packed);
        return client_postgres_failed(r->client, e);
    }
    r->n++;
    return CLI_DONE;
}

enum cli_exit cli_recipes_try(struct cli_recipes *r, cli_recipes_check_fn *check, void *arg,
                              enum err *ret)
{
    enum cli_exit code = CLI_DONE;

    do {
        r->missing = NULL;
        *ret = check(arg, &r->book);
        if (*ret == ERR_NOT_FOUND)
            code = fetch(r);
    } while (*ret == ERR_NOT_FOUND && code == CLI_DONE);
    return code;
}

enum cli_exit cli_recipes_once(const struct call *call, cli_recipes_check_fn *check, void *arg,
                               enum err *ret)
{
    struct cli_recipes r;
    char text[RECIPE_REF_SIZE];
    enum cli_exit code;

    cli_recipes_init(&r, call, NULL);
    code = cli_recipes_try(&r, check, arg, ret);
    if (code == CLI_DONE && r.missing != NULL)
        code = call_fail(call, CLI_NOT_FOUND, "there is no recipe %s",
                         recipe_ref_text(r.missing, text));
    cli_recipes_done(&r);
    return code;
}
