#include "queue/spec/job.h"

#include "shared/clock.h"

#define TAKE(name)                                                                          \
    static enum err take_##name(void *out, const msgpack_object *v, const struct place *at, \
                                struct spec_fault *ret)

/* --- what it is ------------------------------------------------------------------------------ */

static enum err unknown_type(struct slice type, const struct place *at, struct spec_fault *ret)
{
    char known[160] = "";
    size_t n, used = 0;
    const struct spec_type *all = spec_table(&n);

    for (size_t i = 0; i < n && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 all[i].name);
    return walk_fault(at, ret, "there is no job type \"" SLICE_FMT "\"; known here: %s",
                      SLICE_ARG(type), known);
}

TAKE(type)
{
    struct spec_job *job = out;
    char name[JOB_NAME_MAX + 1];
    struct slice type;
    enum err e = walk_name(v, &type, at, ret);

    if (e != ERR_OK)
        return e;
    (void)slice_to_cstr(type, name, sizeof name); /* a name: fits */
    job->type = spec_find(name);
    return job->type != NULL ? ERR_OK : unknown_type(type, at, ret);
}

/* Only kept: which type's rules they must meet may stand behind them. */
TAKE(args)
{
    struct spec_job *job = out;

    if (v->type != MSGPACK_OBJECT_MAP)
        return walk_fault(at, ret, "must be an object");
    job->args = v;
    return ERR_OK;
}

TAKE(queue)
{
    struct spec_job *job = out;
    struct slice queue;
    enum err e = walk_name(v, &queue, at, ret);

    if (e == ERR_OK)
        (void)slice_to_cstr(queue, job->queue, sizeof job->queue);
    return e;
}

TAKE(priority)
{
    static const struct walk_word words[] = {{"critical", JOB_PRIORITY_CRITICAL},
                                             {"high", JOB_PRIORITY_HIGH},
                                             {"normal", JOB_PRIORITY_NORMAL},
                                             {"low", JOB_PRIORITY_LOW}};
    struct spec_job *job = out;
    int value = JOB_PRIORITY_NORMAL;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &value, at, ret);

    job->priority = (enum job_priority)value;
    job->has_priority = true;
    return e;
}

TAKE(key)
{
    struct spec_job *job = out;

    return walk_line(v, JOB_KEY_MAX, &job->key, at, ret);
}

/* --- how often and how long ------------------------------------------------------------------ */

TAKE(max_attempts)
{
    struct spec_job *job = out;

    return walk_uint(v, 1, JOB_ATTEMPTS_MAX, &job->max_attempts, at, ret);
}

TAKE(timeout_ms)
{
    struct spec_job *job = out;

    return walk_uint(v, 1, JOB_TIMEOUT_MAX, &job->timeout_ms, at, ret);
}

TAKE(retry)
{
    struct spec_job *job = out;
    struct retry_policy policy;

    job->retry = v;
    return spec_retry_parse(v, at, &policy, ret);
}

/* --- when ------------------------------------------------------------------------------------ */

static enum err take_span(const msgpack_object *v, uint64_t min, uint64_t *ret_ms,
                          const struct place *at, struct spec_fault *ret)
{
    if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER || v->via.u64 < min ||
        v->via.u64 > SPEC_DELAY_MAX)
        return walk_fault(at, ret, "must be an integer from %llu to %llu",
                          (unsigned long long)min, (unsigned long long)SPEC_DELAY_MAX);
    *ret_ms = v->via.u64;
    return ERR_OK;
}

static enum err take_time(const msgpack_object *v, uint64_t *ret_ms, const struct place *at,
                          struct spec_fault *ret)
{
    if (v->type != MSGPACK_OBJECT_STR || !clock_parse_rfc3339(mp_as_slice(v), ret_ms))
        return walk_fault(at, ret,
                          "must be a time as RFC 3339 has it, such as 2030-01-31T08:00:00Z");
    return ERR_OK;
}

TAKE(delay_ms)
{
    struct spec_job *job = out;

    return take_span(v, 0, &job->delay_ms, at, ret);
}

TAKE(run_at)
{
    struct spec_job *job = out;

    return take_time(v, &job->run_at_ms, at, ret);
}

TAKE(expires_in_ms)
{
    struct spec_job *job = out;

    return take_span(v, 1, &job->expires_in_ms, at, ret);
}

TAKE(expires_at)
{
    struct spec_job *job = out;

    return take_time(v, &job->expires_at_ms, at, ret);
}

/* --- one of a kind --------------------------------------------------------------------------- */

TAKE(unique_key)
{
    struct spec_job *job = out;

    return walk_line(v, JOB_KEY_MAX, &job->unique, at, ret);
}

TAKE(unique_window)
{
    struct spec_job *job = out;

    return take_span(v, 1, &job->unique_window_ms, at, ret);
}

TAKE(unique_policy)
{
    static const struct walk_word words[] = {
        {"reject", UNIQUE_REJECT}, {"keep", UNIQUE_KEEP}, {"replace", UNIQUE_REPLACE}};
    struct spec_job *job = out;
    int value = UNIQUE_REJECT;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &value, at, ret);

    job->unique_policy = (enum unique_policy)value;
    return e;
}

TAKE(unique)
{
    static const struct walk_field fields[] = {
        {"key", take_unique_key, true},
        {"window_ms", take_unique_window, false},
        {"policy", take_unique_policy, false},
    };

    return walk_map(v, WALK_TABLE(fields), out, at, ret);
}

/* --- what comes after it --------------------------------------------------------------------- */

static enum err check_list(const msgpack_object *v, size_t max, enum spec_role role,
                           const struct place *at, struct spec_fault *ret)
{
    enum err e = walk_array(v, 0, max, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);
        struct spec_job job;

        e = spec_job_parse(&v->via.array.ptr[i], role, &here, &job, ret);
    }
    return e;
}

TAKE(then)
{
    struct spec_job *job = out;

    job->then = v;
    return check_list(v, JOB_FOLLOW_MAX, SPEC_FOLLOW_UP, at, ret);
}

TAKE(chain)
{
    struct spec_job *job = out;

    job->chain = v;
    return check_list(v, JOB_CHAIN_MAX, SPEC_LINK, at, ret);
}

TAKE(on)
{
    static const struct walk_word words[] = {{"success", FOLLOW_ON_SUCCESS},
                                             {"failure", FOLLOW_ON_FAILURE},
                                             {"always", FOLLOW_ALWAYS}};
    struct spec_job *job = out;
    int on = FOLLOW_ON_SUCCESS;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)}, &on,
                           at, ret);

    job->on = (enum follow_on)on;
    return e;
}

/* --- the tables ------------------------------------------------------------------------------ */

/* clang-format off */
#define FIELDS_OF_ALL                            \
    {"type", take_type, true},                   \
    {"args", take_args, true},                   \
    {"queue", take_queue, false},                \
    {"priority", take_priority, false},          \
    {"key", take_key, false},                    \
    {"max_attempts", take_max_attempts, false},  \
    {"timeout_ms", take_timeout_ms, false},      \
    {"retry", take_retry, false},                \
    {"delay_ms", take_delay_ms, false},          \
    {"expires_in_ms", take_expires_in_ms, false},\
    {"then", take_then, false}

static const struct walk_field submitted[] = {
    FIELDS_OF_ALL,
    {"run_at", take_run_at, false},
    {"expires_at", take_expires_at, false},
    {"unique", take_unique, false},
    {"chain", take_chain, false},
};
static const struct walk_field follow_up[] = {
    FIELDS_OF_ALL,
    {"on", take_on, false},
};
static const struct walk_field link_fields[] = {
    FIELDS_OF_ALL,
};
static const struct walk_field edit[] = {
    {"args", take_args, false},
    {"queue", take_queue, false},
    {"priority", take_priority, false},
    {"key", take_key, false},
    {"max_attempts", take_max_attempts, false},
    {"timeout_ms", take_timeout_ms, false},
    {"retry", take_retry, false},
    {"delay_ms", take_delay_ms, false},
    {"run_at", take_run_at, false},
    {"expires_in_ms", take_expires_in_ms, false},
    {"expires_at", take_expires_at, false},
    {"then", take_then, false},
    {"chain", take_chain, false},
};
/* clang-format on */

static const struct walk_table tables[] = {
    [SPEC_SUBMITTED] = {submitted, COUNT_OF(submitted)},
    [SPEC_FOLLOW_UP] = {follow_up, COUNT_OF(follow_up)},
    [SPEC_LINK] = {link_fields, COUNT_OF(link_fields)},
    [SPEC_EDIT] = {edit, COUNT_OF(edit)},
};

static enum err fault_at_key(const struct place *at, const char *key, struct spec_fault *ret,
                             const char *text)
{
    struct place here = place_key(at, slice_str(key));

    return walk_fault(&here, ret, "%s", text);
}

/* What no field can know of itself. */
static enum err check_whole(const struct spec_job *job, const struct place *at,
                            struct spec_fault *ret)
{
    struct place args_at = place_key(at, SLICE_LIT("args"));
    char pointer[sizeof ret->pointer];

    if (job->delay_ms > 0 && job->run_at_ms > 0)
        return fault_at_key(at, "run_at", ret, "cannot stand beside delay_ms");
    if (job->expires_in_ms > 0 && job->expires_at_ms > 0)
        return fault_at_key(at, "expires_at", ret, "cannot stand beside expires_in_ms");
    if (job->type == NULL)
        return ERR_OK; /* an edit: the job's own type has the say */
    place_text(&args_at, pointer, sizeof pointer);
    return job->type->check(job->args, pointer, ret);
}

enum err spec_job_parse(const msgpack_object *o, enum spec_role role, const struct place *at,
                        struct spec_job *ret, struct spec_fault *reterr)
{
    enum err e;

    memset(ret, 0, sizeof *ret);
    ret->priority = JOB_PRIORITY_NORMAL;
    e = walk_map(o, tables[role], ret, at, reterr);
    if (e == ERR_OK)
        e = check_whole(ret, at, reterr);
    if (e == ERR_OK && ret->queue[0] == '\0' && ret->type != NULL)
        (void)slice_to_cstr(slice_str(ret->type->default_queue), ret->queue, sizeof ret->queue);
    return e;
}

struct list_kind {
    const char *root;
    size_t max;
    enum spec_role role;
};

static enum err parse_list(const msgpack_object *list, const struct list_kind *kind,
                           struct spec_job *ret, size_t *ret_n, struct spec_fault *reterr)
{
    struct place at = place_root(kind->root);
    enum err e = walk_array(list, 0, kind->max, &at, reterr);

    for (uint32_t i = 0; e == ERR_OK && i < list->via.array.size; i++) {
        struct place here = place_index(&at, i);
        struct spec_job job;

        e = spec_job_parse(&list->via.array.ptr[i], kind->role, &here,
                           ret != NULL ? &ret[i] : &job, reterr);
    }
    if (e == ERR_OK && ret_n != NULL)
        *ret_n = list->via.array.size;
    return e;
}

enum err spec_follow_ups(const msgpack_object *then, struct spec_job *ret, size_t *ret_n,
                         struct spec_fault *reterr)
{
    return parse_list(then, &(struct list_kind){"/then", JOB_FOLLOW_MAX, SPEC_FOLLOW_UP}, ret,
                      ret_n, reterr);
}

enum err spec_chain(const msgpack_object *chain, struct spec_job *ret, size_t *ret_n,
                    struct spec_fault *reterr)
{
    return parse_list(chain, &(struct list_kind){"/chain", JOB_CHAIN_MAX, SPEC_LINK}, ret,
                      ret_n, reterr);
}
