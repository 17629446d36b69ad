#include "shared/redis_internal.h"

static const char *const steps[] = {
    [REDIS_KIND_AUTH] = "AUTH",
    [REDIS_KIND_SELECT] = "SELECT",
    [REDIS_KIND_NAME] = "CLIENT SETNAME",
    [REDIS_KIND_PING] = "PING",
};

static enum err send_words(struct redis *r, enum redis_kind kind, const struct slice *words,
                           size_t n)
{
    return redis_send(r, &(struct resp_part){words, n}, 1,
                      (struct redis_waiter){.kind = kind, .deadline_ms = r->connect_by_ms});
}

static enum err send_auth(struct redis *r)
{
    const struct slice words[] = {SLICE_LIT("AUTH"), slice_str(r->url.user),
                                  slice_str(r->url.password)};
    const struct slice plain[] = {words[0], words[2]};

    if (r->url.password == NULL)
        return ERR_OK;
    if (r->url.user == NULL)
        return send_words(r, REDIS_KIND_AUTH, plain, COUNT_OF(plain));
    return send_words(r, REDIS_KIND_AUTH, words, COUNT_OF(words));
}

static enum err send_select(struct redis *r)
{
    char number[RESP_NUMBER_SIZE];
    const struct slice words[] = {SLICE_LIT("SELECT"), resp_number(r->url.db, number)};

    return r->url.db == 0 ? ERR_OK : send_words(r, REDIS_KIND_SELECT, words, COUNT_OF(words));
}

static enum err send_name(struct redis *r)
{
    const struct slice words[] = {SLICE_LIT("CLIENT"), SLICE_LIT("SETNAME"),
                                  slice_str(r->name)};

    return r->name == NULL ? ERR_OK : send_words(r, REDIS_KIND_NAME, words, COUNT_OF(words));
}

enum err redis_greet(struct redis *r)
{
    const struct slice ping[] = {SLICE_LIT("PING")};
    enum err e = send_auth(r);

    if (e == ERR_OK)
        e = send_select(r);
    if (e == ERR_OK)
        e = send_name(r);
    return e == ERR_OK ? send_words(r, REDIS_KIND_PING, ping, COUNT_OF(ping)) : e;
}

/* A peer may answer with what it was sent: "unknown command 'AUTH', with args beginning with:". */
static struct slice without_password(const struct redis *r, const redisReply *reply)
{
    struct slice text = slice_of(reply->str, reply->len);

    if (r->url.password != NULL &&
        memmem(text.ptr, text.len, r->url.password, strlen(r->url.password)) != NULL)
        return SLICE_LIT("(the answer repeats the password and is not shown)");
    return text;
}

static void refused(struct redis *r, enum redis_kind kind, const redisReply *reply)
{
    struct slice text = SLICE_LIT("this is no answer of Redis");
    char why[REDIS_WHY_SIZE];

    if (reply->type == REDIS_REPLY_ERROR)
        text = without_password(r, reply);
    (void)snprintf(why, sizeof why, "%s refused: " SLICE_FMT, steps[kind], SLICE_ARG(text));
    redis_fall(r, &(struct redis_fall){.first = ERR_UNREACHABLE, .why = why});
}

static bool is_status(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STATUS &&
           slice_is(slice_of(reply->str, reply->len), text);
}

void redis_greeting_reply(struct redis *r, const redisReply *reply)
{
    enum redis_kind kind = redis_line_first(&r->line)->kind;
    /* An ACL may forbid CLIENT SETNAME; the name only helps people who look at CLIENT LIST. */
    bool fine =
        kind == REDIS_KIND_NAME || is_status(reply, kind == REDIS_KIND_PING ? "PONG" : "OK");

    if (!fine) {
        refused(r, kind, reply);
        return;
    }
    (void)redis_line_pop(&r->line);
    if (kind == REDIS_KIND_PING)
        redis_rise(r);
}
