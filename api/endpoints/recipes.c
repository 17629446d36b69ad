/* PUT, GET, DELETE /v1/recipes/{recipe}, GET /v1/recipes: what image jobs may name (queue/recipe.h).
 *
 * {recipe} is a name, or name@version. A version once made is never changed: a put of another body
 * makes the next one. */
#include "api/recipes.h"
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "queue/ledger_recipes.h"
#include "shared/json.h"

#define AWAY "the recipes cannot be asked"

struct work {
    struct request *rq;
    struct recipe_ref ref;
};

static bool take_ref(struct request *rq, struct recipe_ref *ret)
{
    if (recipe_ref_parse(rq->params[0], ret))
        return true;
    reply_problem(rq, 404, NULL, "there is no such recipe");
    return false;
}

static struct work *work_new(struct request *rq, const struct recipe_ref *ref)
{
    struct work *w = malloc(sizeof *w);

    if (w != NULL)
        *w = (struct work){.rq = rq, .ref = *ref};
    return w;
}

static bool is_away(const struct request *rq)
{
    return !pg_is_up(rq->api->pg);
}

/* --- put -------------------------------------------------------------------------------------- */

static void on_put(void *arg, enum err e, uint32_t version, bool made)
{
    struct work w = *(struct work *)arg;
    char body[256], location[96];
    int n;

    free(arg);
    if (e != ERR_OK) {
        reply_unavailable(w.rq,
                          e == ERR_BUSY ? "somebody else has put a version at the same time"
                                        : "the recipe cannot be stored",
                          e);
        return;
    }
    recipes_forget(w.rq->api->recipes, w.ref.name);
    (void)snprintf(location, sizeof location, "/v1/recipes/%s@%u", w.ref.name, version);
    n = snprintf(body, sizeof body, "{\"name\":\"%s\",\"version\":%u,\"url\":\"%s\"}",
                 w.ref.name, version, location);
    reply_send(w.rq, &(struct reply){.status = made ? 201 : 200,
                                     .content_type = "application/json",
                                     .body = slice_of(body, (size_t)n),
                                     .headers = {{"location", location}},
                                     .n_headers = 1});
}

static enum err check_packed(struct slice packed, struct spec_fault *why)
{
    const struct mp_limits limits = {
        .max_depth = JOB_DEPTH_MAX, .max_items = JOB_VALUES_MAX, .max_bytes = SIZE_MAX};
    struct fault unpacked;
    msgpack_object root;
    msgpack_zone zone;
    enum err e;

    if (!msgpack_zone_init(&zone, 2048)) {
        (void)spec_fault_set(why, "", "no memory for the recipe");
        return ERR_NOMEM;
    }
    e = mp_parse(packed, &limits, &zone, &root, &unpacked);
    if (e == ERR_OK)
        e = recipe_check(&root, why);
    else
        (void)spec_fault_set(why, "", "%s", unpacked.text);
    msgpack_zone_destroy(&zone);
    return e;
}

static enum err check_body(const struct request *rq, struct spec_fault *why)
{
    AUTO(buf_done) struct buf packed = {0};
    struct fault unread;

    /* As deep as args may be inside of a job. */
    if (json_to_msgpack(buf_slice(&rq->body), (unsigned)rq->api->opt->depth_max - 1, &packed,
                        &unread) != ERR_OK)
        return spec_fault_set(why, "", "%s", unread.text);
    return check_packed(buf_slice(&packed), why);
}

static bool check_request(struct request *rq, const struct recipe_ref *ref)
{
    struct spec_fault why;
    enum err e;

    if (ref->version != 0) {
        reply_problem(rq, 422, NULL, "a version is not put: the name gets its next one");
        return false;
    }
    if (request_header(rq, "content-type").len > 0 &&
        !request_is_of_type(rq, "application/json")) {
        reply_problem(rq, 415, NULL, "the body must be application/json");
        return false;
    }
    e = check_body(rq, &why);
    if (e == ERR_OK)
        return true;
    if (e == ERR_NOMEM)
        reply_problem(rq, 503, NULL, "%s", why.text);
    else if (why.pointer[0] == '\0')
        reply_problem(rq, 400, NULL, "%s", why.text);
    else
        reply_problem(rq, 422, why.pointer, "%s %s", why.pointer, why.text);
    return false;
}

static void put_recipe(struct request *rq)
{
    struct recipe_ref ref;
    struct work *w;
    enum err e = ERR_UNREACHABLE;

    if (!take_ref(rq, &ref) || !check_request(rq, &ref))
        return;
    w = work_new(rq, &ref);
    if (w == NULL)
        e = ERR_NOMEM;
    else if (!is_away(rq))
        e = ledger_recipe_put(rq->api->pg, ref.name, buf_slice(&rq->body), on_put, w);
    if (e == ERR_OK)
        return;
    free(w);
    reply_unavailable(rq, AWAY, e);
}

/* --- get -------------------------------------------------------------------------------------- */

static void on_json(void *arg, enum err e, struct slice json)
{
    struct request *rq = arg;
    AUTO(buf_done) struct buf out = {0};

    if (e == ERR_NOT_FOUND) {
        reply_problem(rq, 404, NULL, "there is no such recipe");
        return;
    }
    if (e != ERR_OK) {
        reply_unavailable(rq, AWAY, e);
        return;
    }
    buf_add_slice(&out, json);
    reply_json(rq, 200, &out);
}

static void get_recipe(struct request *rq)
{
    struct recipe_ref ref;
    enum err e;

    if (!take_ref(rq, &ref))
        return;
    e = is_away(rq) ? ERR_UNREACHABLE : ledger_recipe_show(rq->api->pg, &ref, on_json, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, AWAY, e);
}

static void list_recipes(struct request *rq)
{
    static const char *const known[] = {"after", NULL};
    struct slice after = request_query(rq, "after");
    char name[JOB_NAME_MAX + 1] = "";
    enum err e;

    if (request_unknown_query(rq, known).ptr != NULL ||
        (after.ptr != NULL && request_decode(after, name, sizeof name) != ERR_OK)) {
        reply_problem(rq, 400, NULL, "known here: after, the name to begin behind");
        return;
    }
    e = is_away(rq) ? ERR_UNREACHABLE : ledger_recipe_list(rq->api->pg, name, on_json, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, AWAY, e);
}

/* --- delete ----------------------------------------------------------------------------------- */

static void on_gone(void *arg, enum err e)
{
    struct work w = *(struct work *)arg;

    free(arg);
    recipes_forget(w.rq->api->recipes, w.ref.name);
    if (e == ERR_OK)
        reply_send(w.rq, &(struct reply){.status = 204});
    else if (e == ERR_NOT_FOUND)
        reply_problem(w.rq, 404, NULL, "there is no such recipe that jobs could use");
    else
        reply_unavailable(w.rq, "the recipe cannot be deleted", e);
}

static void delete_recipe(struct request *rq)
{
    struct recipe_ref ref;
    struct work *w;
    enum err e = ERR_UNREACHABLE;

    if (!take_ref(rq, &ref))
        return;
    w = work_new(rq, &ref);
    if (w == NULL)
        e = ERR_NOMEM;
    else if (!is_away(rq))
        e = ledger_recipe_delete(rq->api->pg, &ref, on_gone, w);
    if (e == ERR_OK)
        return;
    free(w);
    reply_unavailable(rq, AWAY, e);
}

const struct endpoint endpoint_recipes = {
    .method = "GET", .pattern = "/v1/recipes", .on_end = list_recipes};
const struct endpoint endpoint_recipe_get = {
    .method = "GET", .pattern = "/v1/recipes/{recipe}", .on_end = get_recipe};
const struct endpoint endpoint_recipe_put = {.method = "PUT",
                                             .pattern = "/v1/recipes/{recipe}",
                                             .body = BODY_BUFFERED,
                                             .on_end = put_recipe};
const struct endpoint endpoint_recipe_delete = {
    .method = "DELETE", .pattern = "/v1/recipes/{recipe}", .on_end = delete_recipe};
