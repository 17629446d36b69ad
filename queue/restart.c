#include "queue/restart.h"

#include "queue/keys.h"

#define RUN_ID_SIZE 64

struct mending {
    struct redis *redis;
    const struct log_ctx *log;
    char run_id[RUN_ID_SIZE];
};

static void give_up(struct mending *m, const char *doing, const redisReply *reply)
{
    log_debug(
        m->log, "restart.not_mended", LOG_S("doing", doing),
        LOG_S("why", reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : ""));
    free(m);
}

static enum err say(struct mending *m, const struct slice *words, int n, redis_reply_fn *cb)
{
    return redis_command(m->redis, &(struct redis_command){.argc = n, .argv = words}, cb, m);
}

static void on_noted(void *arg, enum err e, const redisReply *reply)
{
    (void)e, (void)reply;
    free(arg);
}

static void note_run(struct mending *m)
{
    const struct slice words[] = {SLICE_LIT("SET"), SLICE_LIT(KEYS_REDIS),
                                  slice_str(m->run_id)};

    if (say(m, words, COUNT_OF(words), on_noted) != ERR_OK)
        give_up(m, "SET", NULL);
}

static void on_rewriting(void *arg, enum err e, const redisReply *reply)
{
    struct mending *m = arg;

    if (e != ERR_OK) {
        give_up(m, "BGREWRITEAOF", reply);
        return;
    }
    log_debug(m->log, "restart.aof_rewritten", LOG_S("run_id", m->run_id));
    note_run(m);
}

/* The first run that is ever seen has nothing of ours in its AOF yet. */
static void on_known_run(void *arg, enum err e, const redisReply *reply)
{
    static const struct slice words[] = {SLICE_LIT("BGREWRITEAOF")};
    struct mending *m = arg;

    if (e == ERR_OK && reply->type == REDIS_REPLY_NIL)
        note_run(m);
    else if (e != ERR_OK || reply->type != REDIS_REPLY_STRING)
        give_up(m, "GET", reply);
    else if (strcmp(reply->str, m->run_id) == 0)
        free(m);
    else if (say(m, words, COUNT_OF(words), on_rewriting) != ERR_OK)
        give_up(m, "BGREWRITEAOF", NULL);
}

/* The value of "key:" in an INFO reply. */
static bool find_info(const char *info, const char *key, char *dst, size_t cap)
{
    const char *at = strstr(info, key);
    size_t len;

    if (at == NULL)
        return false;
    at += strlen(key);
    len = strcspn(at, "\r\n");
    return len > 0 && slice_to_cstr(slice_of(at, len), dst, cap);
}

static void on_info(void *arg, enum err e, const redisReply *reply)
{
    static const struct slice words[] = {SLICE_LIT("GET"), SLICE_LIT(KEYS_REDIS)};
    struct mending *m = arg;
    char aof[4];

    if (e != ERR_OK || reply->type != REDIS_REPLY_STRING ||
        !find_info(reply->str, "\nrun_id:", m->run_id, sizeof m->run_id) ||
        !find_info(reply->str, "\naof_enabled:", aof, sizeof aof)) {
        give_up(m, "INFO", reply);
    } else if (aof[0] != '1') {
        free(m);
    } else if (say(m, words, COUNT_OF(words), on_known_run) != ERR_OK) {
        give_up(m, "GET", NULL);
    }
}

void restart_mend(struct redis *r, const struct log_ctx *log)
{
    /* All of it: Redis before 7 takes one section's name at most. */
    static const struct slice words[] = {SLICE_LIT("INFO")};
    struct mending *m = calloc(1, sizeof *m);

    if (m == NULL)
        return;
    m->redis = r;
    m->log = log;
    if (say(m, words, COUNT_OF(words), on_info) != ERR_OK)
        give_up(m, "INFO", NULL);
}
