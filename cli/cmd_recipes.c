/* millrace recipes: what image jobs may name: listed, shown, put, deleted. */
#include <jansson.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/compose.h"
#include "queue/ledger_recipes.h"
#include "shared/json.h"

struct work {
    struct call *call;
    struct client *client;
    struct pg *pg;
    struct recipe_ref ref;
    struct buf body; /* put */
    void (*print)(struct call *call, const json_t *told);
};

/* --- what was told ---------------------------------------------------------------------------- */

static void add_text(struct table *t, const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    table_add(t, slice_str(text == NULL ? "" : text));
}

static void add_number(struct table *t, const json_t *o, const char *key)
{
    const json_t *n = json_object_get(o, key);

    if (json_is_integer(n))
        table_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
    else
        table_add(t, SLICE_LIT(""));
}

static void print_list(struct call *call, const json_t *told)
{
    static const struct table_column columns[] = {
        {"RECIPE", false}, {"NEWEST", true}, {"VERSIONS", true}, {"CREATED", false}};
    const json_t *rows = json_object_get(told, "recipes");
    const char *next = json_string_value(json_object_get(told, "next"));
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);

        add_text(&t, row, "name");
        add_number(&t, row, "version");
        add_number(&t, row, "versions");
        add_text(&t, row, "created_at");
    }
    call_print_table(call, &t);
    if (next != NULL)
        call_note(call, "there are more: millrace recipes list %s", next);
}

static void print_versions(struct call *call, const json_t *told)
{
    static const struct table_column columns[] = {
        {"VERSION", true}, {"CREATED", false}, {"DELETED", false}};
    const json_t *rows = json_object_get(told, "versions");
    AUTO(table_done) struct table t;

    table_init(&t, columns, COUNT_OF(columns));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);

        add_number(&t, row, "version");
        add_text(&t, row, "created_at");
        add_text(&t, row, "deleted_at");
    }
    call_print_table(call, &t);
}

static void print_body(struct call *call, const json_t *told)
{
    char *text = json_dumps(json_object_get(told, "recipe"), JSON_INDENT(2));

    buf_add_str(&call->text, text == NULL ? "" : text);
    buf_add_char(&call->text, '\n');
    free(text);
}

static void on_json(void *arg, enum err e, struct slice json)
{
    struct work *w = arg;
    json_t *told = e == ERR_OK ? json_loadb(json.ptr, json.len, 0, NULL) : NULL;

    if (e == ERR_OK && told == NULL)
        e = ERR_NOMEM;
    if (e == ERR_OK && w->call->json) {
        buf_add_slice(&w->call->text, json);
        buf_add_char(&w->call->text, '\n');
    } else if (e == ERR_OK) {
        w->print(w->call, told);
    }
    json_decref(told);
    client_answered(w->client, e);
}

static void tell(struct work *w, const char *what, uint32_t version)
{
    struct recipe_ref ref = w->ref;
    char text[RECIPE_REF_SIZE];

    ref.version = version;
    if (w->call->json && version > 0)
        buf_addf(&w->call->text, "{\"name\":\"%s\",\"version\":%u,\"%s\":true}\n", ref.name,
                 version, what);
    else if (w->call->json)
        buf_addf(&w->call->text, "{\"name\":\"%s\",\"%s\":true}\n", ref.name, what);
    else
        buf_addf(&w->call->text, "%s is %s\n", recipe_ref_text(&ref, text), what);
}

static void on_put(void *arg, enum err e, uint32_t version, bool made)
{
    struct work *w = arg;

    if (e == ERR_OK)
        tell(w, made ? "stored" : "unchanged", version);
    client_answered(w->client, e);
}

static void on_gone(void *arg, enum err e)
{
    struct work *w = arg;

    if (e == ERR_OK)
        tell(w, "deleted", w->ref.version);
    client_answered(w->client, e);
}

/* --- what is asked ---------------------------------------------------------------------------- */

static enum err ask_list(struct work *w)
{
    w->print = print_list;
    return ledger_recipe_list(w->pg, w->call->n_words > 1 ? w->call->words[1] : "", on_json, w);
}

static enum err ask_show(struct work *w)
{
    w->print = w->ref.version > 0 ? print_body : print_versions;
    return ledger_recipe_show(w->pg, &w->ref, on_json, w);
}

static enum err ask_put(struct work *w)
{
    return ledger_recipe_put(w->pg, w->ref.name, buf_slice(&w->body), on_put, w);
}

static enum err ask_delete(struct work *w)
{
    return ledger_recipe_delete(w->pg, &w->ref, on_gone, w);
}

static const struct verb {
    const char *name;
    enum err (*ask)(struct work *w);
    size_t min_words, max_words; /* its own among them */
    bool ref, body;
} verbs[] = {
    {"list", ask_list, 1, 2, false, false},
    {"show", ask_show, 2, 2, true, false},
    {"put", ask_put, 3, 3, true, true},
    {"delete", ask_delete, 2, 2, true, false},
};

static const struct verb *find_verb(const struct call *call)
{
    const char *word = call->n_words > 0 ? call->words[0] : "list";
    size_t n = call->n_words > 0 ? call->n_words : 1;

    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        if (strcmp(verbs[i].name, word) == 0 && n >= verbs[i].min_words &&
            n <= verbs[i].max_words)
            return &verbs[i];
    }
    return NULL;
}

static enum err check_packed(struct slice packed, struct spec_fault *why)
{
    const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = JOB_VALUES_MAX, .max_bytes = SIZE_MAX};
    struct fault unpacked;
    msgpack_object root;
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 2048))
        return ERR_NOMEM;
    e = mp_parse(packed, &limits, &zone, &root, &unpacked);
    e = e == ERR_OK ? recipe_check(&root, why) : spec_fault_set(why, "", "%s", unpacked.text);
    msgpack_zone_destroy(&zone);
    return e;
}

/* Checked before anything is connected. */
static enum cli_exit take_body(struct work *w)
{
    AUTO(buf_done) struct buf packed = {0};
    struct spec_fault why = {.text = "no memory"};
    struct fault unread;
    enum cli_exit code = compose_json_text(w->call, "BODY", w->call->words[2], &w->body);

    if (code != CLI_DONE)
        return code;
    if (json_to_msgpack(buf_slice(&w->body), JOB_DEPTH_MAX - 1, &packed, &unread) != ERR_OK)
        return call_fail(w->call, CLI_FAILED, "the recipe is refused: %s", unread.text);
    if (check_packed(buf_slice(&packed), &why) != ERR_OK)
        return call_fail(w->call, CLI_FAILED, "the recipe is refused: %s%s%s", why.pointer,
                         why.pointer[0] == '\0' ? "" : " ", why.text);
    return CLI_DONE;
}

static enum cli_exit take_words(struct work *w, const struct verb *verb)
{
    struct call *call = w->call;

    if (verb->ref && !recipe_ref_parse(slice_str(call->words[1]), &w->ref))
        return call_fail(call, CLI_USAGE, "%s: not a recipe's name, as in avatar or avatar@3",
                         call->words[1]);
    if (!verb->body)
        return CLI_DONE;
    if (w->ref.version > 0)
        return call_fail(call, CLI_USAGE, "a version is not put: the name gets its next one");
    return take_body(w);
}

static enum cli_exit go(struct work *w, const struct verb *verb)
{
    enum cli_exit code = take_words(w, verb);
    enum err e;

    if (code == CLI_DONE)
        code = client_new(w->call, &w->client);
    if (code == CLI_DONE)
        code = client_postgres(w->client, &w->pg);
    if (code != CLI_DONE)
        return code;
    e = client_wait(w->client, verb->ask(w));
    if (e == ERR_NOT_FOUND)
        return call_fail(w->call, CLI_NOT_FOUND, "there is no recipe %s", w->call->words[1]);
    return e == ERR_OK ? CLI_DONE : client_postgres_failed(w->client, e);
}

static enum cli_exit run(struct call *call)
{
    struct work w = {.call = call};
    const struct verb *verb = find_verb(call);
    enum cli_exit code;

    if (verb == NULL)
        return call_fail(
            call, CLI_USAGE,
            "millrace recipes [list [AFTER] | show NAME[@VERSION] | put NAME BODY | "
            "delete NAME[@VERSION]]");
    code = go(&w, verb);
    client_close(&w.client);
    buf_done(&w.body);
    return code;
}

const struct command command_recipes = {
    .name = "recipes",
    .summary = "lists, shows, puts and deletes what image jobs may name",
    .usage = "[list | show NAME[@VERSION] | put NAME BODY | delete NAME[@VERSION]]",
    .about =
        "BODY is {\"outputs\": [...], ...} as in an image job's ARGS without the source: "
        "JSON, @FILE, or - for standard input. Each new body makes a version; a job names "
        "avatar (the newest when it is taken) or avatar@3. docs/recipes.md tells the rest.",
    .max_words = 3,
    .run = run,
};
