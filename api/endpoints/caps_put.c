/* PUT /v1/queues/{queue}/caps: how much may wait there: {"jobs"?, "bytes"?, "age_ms"?}; null: no cap any more. */
#include "api/api.h"
#include "api/endpoints/endpoints.h"
#include "api/reply.h"
#include "shared/json.h"

static void on_changed(void *arg, enum err e)
{
    struct request *rq = arg;

    if (e == ERR_OK)
        reply_send(rq, &(struct reply){.status = 204});
    else
        reply_unavailable(rq, "the queue cannot be changed", e);
}

/* Gives false, and the field with its rule, when one is wrong. */
static bool take_field(const msgpack_object_kv *kv, struct caps_change *ret,
                       struct spec_fault *reterr)
{
    char pointer[80];
    size_t i = 0;

    while (i < CAPS_KINDS && !mp_is(&kv->key, caps_names[i]))
        i++;
    (void)snprintf(pointer, sizeof pointer, "/" SLICE_FMT, SLICE_ARG(mp_as_slice(&kv->key)));
    if (i == CAPS_KINDS)
        return spec_fault_set(reterr, pointer,
                              "is not a known field; known here: jobs, bytes, age_ms") ==
               ERR_OK;
    if (kv->val.type != MSGPACK_OBJECT_NIL &&
        (kv->val.type != MSGPACK_OBJECT_POSITIVE_INTEGER || kv->val.via.u64 == 0 ||
         kv->val.via.u64 > CAPS_MAX))
        return spec_fault_set(reterr, pointer, "must be null or an integer from 1 to %llu",
                              CAPS_MAX) == ERR_OK;
    ret->set[i] = true;
    ret->value[i] = kv->val.type == MSGPACK_OBJECT_NIL ? 0 : kv->val.via.u64;
    return true;
}

static bool take_all(const msgpack_object *root, struct caps_change *ret,
                     struct spec_fault *reterr)
{
    if (root->type != MSGPACK_OBJECT_MAP || root->via.map.size == 0)
        return spec_fault_set(reterr, "",
                              "must be an object with one or more of jobs, bytes, age_ms") ==
               ERR_OK;
    for (uint32_t i = 0; i < root->via.map.size; i++) {
        if (!take_field(&root->via.map.ptr[i], ret, reterr))
            return false;
    }
    return true;
}

static bool parse(struct request *rq, struct caps_change *ret)
{
    AUTO(buf_done) struct buf packed = {0};
    struct spec_fault wrong;
    struct fault why;
    msgpack_object root;
    msgpack_zone zone;
    enum err e = json_to_msgpack(buf_slice(&rq->body), 4, &packed, &why);
    bool good = false;

    if (e != ERR_OK || !msgpack_zone_init(&zone, 512)) {
        reply_problem(rq, e == ERR_OK || e == ERR_NOMEM ? 503 : 400, NULL, "%s",
                      e == ERR_OK ? "no memory" : why.text);
        return false;
    }
    e = mp_parse(buf_slice(&packed), &MP_LIMITS_DEFAULT, &zone, &root, &why);
    if (e != ERR_OK)
        reply_problem(rq, 400, NULL, "%s", why.text);
    else if (take_all(&root, ret, &wrong))
        good = true;
    else
        reply_problem(rq, 422, wrong.pointer, "%s %s", wrong.pointer, wrong.text);
    msgpack_zone_destroy(&zone);
    return good;
}

static void on_end(struct request *rq)
{
    char name[JOB_NAME_MAX + 1];
    struct caps_change change = {{false}, {0}};
    enum err e;

    if (!job_name_is_valid(rq->params[0]) || !slice_to_cstr(rq->params[0], name, sizeof name)) {
        reply_problem(rq, 404, NULL, "no queue can have this name");
        return;
    }
    if (!parse(rq, &change))
        return;
    e = caps_change(rq->api->redis, name, &change, on_changed, rq);
    if (e != ERR_OK)
        reply_unavailable(rq, "the queue cannot be changed", e);
}

const struct endpoint endpoint_caps_put = {.method = "PUT",
                                           .pattern = "/v1/queues/{queue}/caps",
                                           .body = BODY_BUFFERED,
                                           .on_end = on_end};
