#include "worker/result_memory.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/job.h"
#include "queue/ledger_results.h"
#include "queue/spec.h"
#include "worker/result_key.h"

enum visit_state { VISIT_HASHING, VISIT_WAITING, VISIT_LOOKING, VISIT_TELLING, VISIT_LEADING };

struct result_visit {
    struct result_memory *m;
    struct result_visit *next, **prev;
    enum visit_state state;
    bool leads; /* others with its key wait for it */
    bool canceled;
    uint8_t recipe[HASH_LEN], key[HASH_LEN];
    struct {
        char *path;       /* NULL: it was hashed by somebody else, and is theirs alone */
        struct stat seen; /* when it was hashed */
    } files[IMAGE_FILES_MAX];
    uint8_t hashes[IMAGE_FILES_MAX][HASH_LEN];
    size_t n;
    uv_work_t work;
    struct loop_later later;
    enum err err; /* what is told */
    struct buf result;
    result_told_fn *cb;
    void *arg;
};

struct result_memory {
    struct result_memory_options opt;
    uint8_t engine[HASH_LEN];
    struct result_visit *visits;
    struct counter *hits, *misses, *shared;
};

/* --- telling ---------------------------------------------------------------------------------- */

static void visit_free(struct result_visit *v)
{
    *v->prev = v->next;
    if (v->next != NULL)
        v->next->prev = v->prev;
    buf_done(&v->result);
    for (size_t i = 0; i < v->n; i++)
        free(v->files[i].path);
    free(v);
}

static void on_tell(void *arg)
{
    struct result_visit *v = arg;
    struct result_visit *gone = v;

    if (v->canceled)
        v->err = ERR_CANCELED;
    if (v->err == ERR_NOT_FOUND) {
        v->state = VISIT_LEADING;
        v->cb(v->arg, ERR_NOT_FOUND, slice_of("", 0));
        return;
    }
    v->cb(v->arg, v->err, buf_slice(&v->result));
    result_memory_settle(&gone, v->err, buf_slice(&v->result));
}

static void tell(struct result_visit *v, enum err e)
{
    v->state = VISIT_TELLING;
    v->err = e;
    loop_later(v->m->opt.loop, &v->later, on_tell, v);
}

static void lead(struct result_visit *v)
{
    v->leads = true;
    counter_add(v->m->misses, 1);
    tell(v, ERR_NOT_FOUND);
}

static bool is_same(const struct result_visit *a, const struct result_visit *b)
{
    return a != b && memcmp(a->key, b->key, sizeof a->key) == 0;
}

static void pass_on(const struct result_visit *v, enum err e, struct slice result)
{
    bool found = false;

    for (struct result_visit *o = v->m->visits; o != NULL; o = o->next) {
        if (o->state != VISIT_WAITING || !is_same(o, v))
            continue;
        if (e == ERR_OK) {
            buf_add_slice(&o->result, result);
            counter_add(v->m->shared, 1);
            tell(o, buf_failed(&o->result) ? ERR_NOMEM : ERR_OK);
        } else if (!found) {
            found = true;
            lead(o);
        }
    }
}

void result_memory_settle(struct result_visit **pv, enum err e, struct slice result)
{
    struct result_visit *v = *pv;

    if (v == NULL)
        return;
    *pv = NULL;
    if (v->leads)
        pass_on(v, e, result);
    visit_free(v);
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool is_there(const struct result_memory *m, const msgpack_object *output)
{
    const msgpack_object *sha256 = mp_get(output, "sha256"), *name = mp_get(output, "format");
    enum image_format format;
    char path[PATH_MAX], hex[HASH_HEX_SIZE];

    if (sha256 == NULL || name == NULL || !image_format_parse(mp_as_slice(name), &format) ||
        !slice_to_cstr(mp_as_slice(sha256), hex, sizeof hex))
        return false;
    (void)snprintf(path, sizeof path, "%s/%.2s/%s.%s", m->opt.blob_dir, hex, hex,
                   image_format_ext(format));
    return access(path, R_OK) == 0 && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

/* Files are swept, removed by hand, lost with a disk: then the work is done anew. One that is there is young from now
 * on, so that no sweep takes it before this job's row is written (queue/blob_files.h); if it cannot be made so the
 * work is done anew as well. */
static bool is_whole(const struct result_memory *m, struct slice result)
{
    const struct mp_limits limits = MP_LIMITS_DEFAULT;
    const msgpack_object *outputs;
    msgpack_object root;
    msgpack_zone zone;
    bool whole = false;

    if (!msgpack_zone_init(&zone, 2048))
        return false;
    if (mp_parse(result, &limits, &zone, &root, NULL) == ERR_OK) {
        outputs = mp_get(&root, "outputs");
        whole = outputs != NULL && outputs->type == MSGPACK_OBJECT_ARRAY;
        for (uint32_t i = 0; whole && i < outputs->via.array.size; i++)
            whole = is_there(m, &outputs->via.array.ptr[i]);
    }
    msgpack_zone_destroy(&zone);
    return whole;
}

static void on_found(void *arg, enum err e, struct slice result)
{
    struct result_visit *v = arg;

    if (e != ERR_OK || !is_whole(v->m, result)) {
        lead(v);
        return;
    }
    buf_add_slice(&v->result, result);
    counter_add(v->m->hits, 1);
    tell(v, buf_failed(&v->result) ? ERR_NOMEM : ERR_OK);
}

static bool can_ask(const struct result_memory *m)
{
    return *m->opt.pg != NULL && pg_is_up(*m->opt.pg);
}

static struct result_visit *leader_of(const struct result_visit *v)
{
    struct result_visit *o = v->m->visits;

    while (o != NULL && !(o->leads && is_same(o, v)))
        o = o->next;
    return o;
}

static void look(struct result_visit *v)
{
    struct result_memory *m = v->m;

    result_key_files(v->recipe, v->hashes, v->n, v->key);
    if (leader_of(v) != NULL) {
        v->state = VISIT_WAITING;
        return;
    }
    v->state = VISIT_LOOKING;
    v->leads = true;
    if (!can_ask(m) ||
        ledger_result_find(*m->opt.pg, v->key, m->opt.max_age_ms, on_found, v) != ERR_OK)
        lead(v);
}

/* --- hashing ---------------------------------------------------------------------------------- */

static void hash_on_thread(uv_work_t *work)
{
    struct result_visit *v = CONTAINER(work, struct result_visit, work);
    uint64_t bytes;

    v->err = ERR_OK;
    for (size_t i = 0; i < v->n && v->err == ERR_OK; i++) {
        const char *path = v->files[i].path;

        if (path == NULL)
            continue;
        v->err = stat(path, &v->files[i].seen) == 0
                     ? hash_file(path, v->hashes[i], &bytes, NULL)
                     : ERR_NOT_FOUND;
    }
}

static void on_hashed(uv_work_t *work, int status)
{
    struct result_visit *v = CONTAINER(work, struct result_visit, work);

    if (status != 0)
        v->canceled = true;
    if (v->canceled)
        tell(v, ERR_CANCELED);
    else if (v->err == ERR_OK)
        look(v);
    else
        tell(v, ERR_NOT_FOUND); /* whoever reads it next says what is wrong with it */
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool are_as_hashed(const struct result_visit *v)
{
    struct stat now;

    for (size_t i = 0; i < v->n; i++) {
        if (v->files[i].path != NULL &&
            (stat(v->files[i].path, &now) != 0 || !is_same_file(&now, &v->files[i].seen)))
            return false;
    }
    return true;
}

/* --- visits ----------------------------------------------------------------------------------- */

static enum err take_files(struct result_visit *v, const struct result_question *q,
                           bool *ret_hash)
{
    *ret_hash = false;
    for (size_t i = 0; i < q->n_files; i++) {
        v->n = i + 1;
        if (q->files[i].sha256 != NULL) {
            memcpy(v->hashes[i], q->files[i].sha256, HASH_LEN);
            continue;
        }
        *ret_hash = true;
        v->files[i].path = strdup(q->files[i].path);
        if (v->files[i].path == NULL)
            return ERR_NOMEM;
    }
    return ERR_OK;
}

static enum err visit_start(struct result_visit *v, const struct result_question *q)
{
    bool hash = false;

    if (take_files(v, q, &hash) != ERR_OK)
        return ERR_NOMEM;
    if (!hash) {
        look(v);
        return ERR_OK;
    }
    if (uv_queue_work(loop_uv(v->m->opt.loop), &v->work, hash_on_thread, on_hashed) != 0)
        return ERR_INTERNAL;
    return ERR_OK;
}

enum err result_memory_ask(struct result_memory *m, const struct result_question *q,
                           result_told_fn *cb, void *arg, struct result_visit **ret)
{
    struct result_visit *v = calloc(1, sizeof *v);
    enum err e;

    if (v == NULL)
        return ERR_NOMEM;
    if (!result_key_recipe(q->type, q->args, q->spec, m->engine, v->recipe)) {
        free(v);
        return ERR_UNSUPPORTED;
    }
    v->m = m;
    v->cb = cb;
    v->arg = arg;
    v->next = m->visits;
    v->prev = &m->visits;
    if (v->next != NULL)
        v->next->prev = &v->next;
    m->visits = v;
    e = visit_start(v, q);
    if (e == ERR_OK)
        *ret = v;
    else
        visit_free(v);
    return e;
}

void result_memory_cancel(struct result_visit *v)
{
    v->canceled = true;
    if (v->state == VISIT_WAITING)
        tell(v, ERR_CANCELED);
}

enum err result_memory_keep(struct result_visit *v, struct slice result, result_kept_fn *cb,
                            void *arg)
{
    struct result_memory *m = v->m;

    if (!v->leads || !are_as_hashed(v))
        return ERR_UNSUPPORTED;
    if (!can_ask(m))
        return ERR_UNREACHABLE;
    return ledger_result_keep(*m->opt.pg, v->key, result, m->opt.max_age_ms, cb, arg);
}

/* --- life ------------------------------------------------------------------------------------- */

static struct counter *count(struct metrics *m, const char *labels)
{
    return metrics_counter(m, "millrace_result_memory_total", labels,
                           "Image jobs that asked the memory of results, by what it had");
}

enum err result_memory_new(const struct result_memory_options *opt, struct result_memory **ret,
                           struct fault *reterr)
{
    struct result_memory *m = calloc(1, sizeof *m);
    uint8_t engine[HASH_LEN + 1];
    uint64_t bytes;

    if (m == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the memory of results");
    m->opt = *opt;
    if (hash_file(opt->engine_file, engine, &bytes, reterr) != ERR_OK) {
        free(m);
        return reterr->err;
    }
    engine[HASH_LEN] = opt->svg;
    hash_sha256(engine, sizeof engine, m->engine);
    m->hits = count(opt->metrics, "outcome=\"hit\"");
    m->misses = count(opt->metrics, "outcome=\"miss\"");
    m->shared = count(opt->metrics, "outcome=\"shared\"");
    *ret = m;
    return ERR_OK;
}

void result_memory_free(struct result_memory **m)
{
    if (*m == NULL)
        return;
    must((*m)->visits == NULL);
    free(*m);
    *m = NULL;
}
