#include "queue/crash_notes.h"

#include "queue/keys.h"
#include "queue/state_codec.h"

#define KEPT_SECONDS "86400"

static void on_put(void *arg, enum err e, const redisReply *reply)
{
    (void)arg, (void)e, (void)reply;
}

static enum err say(struct redis *r, const struct slice *words, int n)
{
    return redis_command(r, &(struct redis_command){.argc = n, .argv = words}, on_put, NULL);
}

void crash_note_put(struct redis *r, const char *queue, const struct uuid *id, uint32_t attempt,
                    const char *text)
{
    char value[4 + CRASH_TEXT_MAX], key[QUEUE_KEY_SIZE];
    struct queue_keys keys;
    size_t len = state_cut(slice_str(text), CRASH_TEXT_MAX);
    struct slice words[4] = {SLICE_LIT("HSET")};

    if (keys_init(&keys, queue, NULL) != ERR_OK)
        return;
    state_put_u32(attempt, value);
    memcpy(value + 4, text, len);
    words[1] = keys_crashes(&keys, key);
    words[2] = slice_of(id->bytes, UUID_LEN);
    words[3] = slice_of(value, 4 + len);
    if (say(r, words, 4) != ERR_OK)
        return;
    words[0] = SLICE_LIT("EXPIRE");
    words[2] = SLICE_LIT(KEPT_SECONDS);
    (void)!say(r, words, 3);
}

struct ask {
    char attempt[4];
    crash_note_fn *cb;
    void *arg;
};

static void on_note(void *arg, enum err e, const redisReply *reply)
{
    char text[CRASH_TEXT_MAX + 1] = "";
    struct ask *ask = arg;

    if (e == ERR_OK && reply->type == REDIS_REPLY_STRING && reply->len >= 4 &&
        memcmp(reply->str, ask->attempt, 4) == 0)
        (void)slice_to_cstr(slice_of(reply->str + 4, reply->len - 4), text, sizeof text);
    ask->cb(ask->arg, text);
    free(ask);
}

enum err crash_note_get(struct redis *r, const char *queue, const struct uuid *id,
                        uint32_t attempt, crash_note_fn *cb, void *arg)
{
    struct ask *ask = malloc(sizeof *ask);
    struct slice words[3] = {SLICE_LIT("HGET")};
    char key[QUEUE_KEY_SIZE];
    struct queue_keys keys;
    enum err e;

    if (ask == NULL)
        return ERR_NOMEM;
    e = keys_init(&keys, queue, NULL);
    if (e == ERR_OK) {
        state_put_u32(attempt, ask->attempt);
        ask->cb = cb;
        ask->arg = arg;
        words[1] = keys_crashes(&keys, key);
        words[2] = slice_of(id->bytes, UUID_LEN);
        e = redis_command(r, &(struct redis_command){.argc = 3, .argv = words}, on_note, ask);
    }
    if (e != ERR_OK)
        free(ask);
    return e;
}
