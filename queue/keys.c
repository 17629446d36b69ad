#include "queue/keys.h"

static const char *const names[] = {
    [QUEUE_KEY_STATE] = "state",         [QUEUE_KEY_META] = "meta",
    [QUEUE_KEY_WAKE] = "wake",           [QUEUE_KEY_DELAYED] = "delayed",
    [QUEUE_KEY_CONSUMERS] = "consumers", [QUEUE_KEY_WORKERS] = "workers",
};

static struct slice spell(char dst[QUEUE_KEY_SIZE], const char *queue, const char *kind,
                          const char *rest)
{
    int len = snprintf(dst, QUEUE_KEY_SIZE, "mr:{%s}:%s%s", queue, kind, rest);

    must(len > 0 && len < QUEUE_KEY_SIZE);
    return slice_of(dst, (size_t)len);
}

enum err keys_init(struct queue_keys *ret, const char *queue, struct fault *reterr)
{
    if (!job_name_is_valid(slice_str(queue)))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "queue name: 1 to %d of a-z 0-9 . _ -, first a letter", JOB_NAME_MAX);
    for (size_t i = 0; i < QUEUE_KEY_READY; i++)
        ret->key[i] = spell(ret->text[i], queue, names[i], "");
    for (size_t i = QUEUE_KEY_READY; i < QUEUE_KEYS; i++)
        ret->key[i] =
            spell(ret->text[i], queue,
                  "ready:", job_priority_name((enum job_priority)(i - QUEUE_KEY_READY)));
    ret->active_prefix = spell(ret->text[QUEUE_KEYS], queue, "active:", "");
    (void)slice_to_cstr(slice_str(queue), ret->queue, sizeof ret->queue);
    return ERR_OK;
}

enum err keys_init_schedules(struct schedule_keys *ret, const char *queue, struct fault *reterr)
{
    static const char *const kinds[] = {"schedules", "schedules:jobs", "schedules:past",
                                        "ticks"};
    enum err e = keys_init(&ret->queue, queue, reterr);

    if (e != ERR_OK)
        return e;
    memcpy(ret->key, ret->queue.key, sizeof ret->queue.key);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        ret->key[QUEUE_KEYS + i] = spell(ret->text[i], queue, kinds[i], "");
    return ERR_OK;
}

struct slice keys_active(const struct queue_keys *k, const char *consumer,
                         char dst[KEYS_ACTIVE_SIZE])
{
    int len = snprintf(dst, KEYS_ACTIVE_SIZE, "%s%s", k->active_prefix.ptr, consumer);

    must(len > 0 && len < KEYS_ACTIVE_SIZE);
    return slice_of(dst, (size_t)len);
}

void keys_batch(const struct uuid *id, char text[KEYS_BATCH][KEYS_BATCH_SIZE],
                struct slice ret[KEYS_BATCH])
{
    static const char *const ends[KEYS_BATCH] = {"", ":left"};
    char name[UUID_TEXT_SIZE];

    (void)uuid_text(id, name);
    for (size_t i = 0; i < KEYS_BATCH; i++) {
        int len = snprintf(text[i], KEYS_BATCH_SIZE, "mr:batch:{%s}%s", name, ends[i]);

        must(len > 0 && len < KEYS_BATCH_SIZE);
        ret[i] = slice_of(text[i], (size_t)len);
    }
}

struct slice keys_crashes(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE])
{
    return spell(dst, k->queue, "crashes", "");
}

struct slice keys_watch(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE])
{
    return spell(dst, k->queue, "watch", "");
}

struct slice keys_events(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE])
{
    return spell(dst, k->queue, "events", "");
}

struct slice keys_control(const struct queue_keys *k, char dst[QUEUE_KEY_SIZE])
{
    return spell(dst, k->queue, "control", "");
}
