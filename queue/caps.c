#include "queue/caps.h"

#include <inttypes.h>

#include "queue/keys.h"
#include "queue/scripts.h"

#define NUMBER_SIZE 24

const char *const caps_names[CAPS_KINDS] = {"jobs", "bytes", "age_ms"};
static const char *const fields[CAPS_KINDS] = {"cap_jobs", "cap_bytes", "cap_age_ms"};

struct change {
    caps_fn *cb;
    void *arg;
};

static void on_announced(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply; /* its first job announces it again */
}

static void on_changed(void *arg, enum err e, const redisReply *reply)
{
    struct change *c = arg;

    (void)reply;
    c->cb(c->arg, e);
    free(c);
}

static enum err call_script(struct redis *r, const struct queue_keys *keys,
                            const struct caps_change *c, struct change *change)
{
    char number[CAPS_KINDS][NUMBER_SIZE];
    struct slice args[2 * CAPS_KINDS];
    size_t n = 0;

    for (size_t i = 0; i < CAPS_KINDS; i++) {
        if (!c->set[i])
            continue;
        (void)snprintf(number[i], NUMBER_SIZE, "%" PRIu64, c->value[i]);
        args[n++] = slice_str(fields[i]);
        args[n++] = c->value[i] == 0 ? slice_of("", 0) : slice_str(number[i]);
    }
    return redis_call(r,
                      &(struct redis_call){.script = queue_script(QUEUE_CAPS),
                                           .n_keys = QUEUE_KEYS,
                                           .keys = keys->key,
                                           .n_args = n,
                                           .args = args},
                      on_changed, change);
}

enum err caps_change(struct redis *r, const char *queue, const struct caps_change *c,
                     caps_fn *cb, void *arg)
{
    const struct slice words[] = {SLICE_LIT("SADD"), SLICE_LIT(KEYS_QUEUES), slice_str(queue)};
    struct queue_keys keys;
    struct change *change;
    enum err e = keys_init(&keys, queue, NULL);

    if (e != ERR_OK)
        return e;
    change = malloc(sizeof *change);
    if (change == NULL)
        return ERR_NOMEM;
    *change = (struct change){cb, arg};
    e = redis_command(r, &(struct redis_command){.argc = COUNT_OF(words), .argv = words},
                      on_announced, NULL);
    if (e == ERR_OK)
        e = call_script(r, &keys, c, change);
    if (e != ERR_OK)
        free(change);
    return e;
}

void caps_json(const struct queue_caps *c, struct buf *out)
{
    const uint64_t values[CAPS_KINDS] = {c->jobs, c->bytes, c->age_ms};

    for (size_t i = 0; i < CAPS_KINDS; i++) {
        buf_addf(out, "%s\"%s\":", i == 0 ? "{" : ",", caps_names[i]);
        if (values[i] == 0)
            buf_add_str(out, "null");
        else
            buf_addf(out, "%" PRIu64, values[i]);
    }
    buf_add_char(out, '}');
}

uint32_t caps_wait_s(double over, double per_second)
{
    double wait_s = per_second > 0 ? over / per_second : CAPS_WAIT_MAX_S;

    if (wait_s >= CAPS_WAIT_MAX_S)
        return CAPS_WAIT_MAX_S;
    return wait_s < 1 ? 1 : (uint32_t)wait_s + ((double)(uint32_t)wait_s < wait_s ? 1 : 0);
}
