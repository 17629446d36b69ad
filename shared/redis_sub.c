#include "shared/redis_sub.h"

#include "shared/backoff.h"
#include "shared/redis_link.h"
#include "shared/redis_resp.h"

#define SUB_MAGIC        0x52535542u
#define CONNECT_MS       3000
#define PING_MS          5000
#define MESSAGE_MAX      ((size_t)1 << 20)
#define BACKOFF_FIRST_MS 50
#define BACKOFF_CAP_MS   2000
#define TRIES_MAX        16
#define WHY_SIZE         200
#define PUSH_WORDS       3 /* kind, channel, message or count */

enum sub_state { SUB_DOWN, SUB_CONNECTING, SUB_GREETING, SUB_UP, SUB_CLOSING };

struct redis_sub_channel {
    struct redis_sub *sub;
    struct redis_sub_channel *next, **prev;
    redis_sub_message_fn *on_message;
    redis_sub_fresh_fn *on_fresh;
    void *arg;
    bool fresh;
    size_t name_len;
    char name[];
};

struct redis_sub {
    unsigned magic;
    enum sub_state state;
    uv_loop_t *loop;
    struct redis_url url;
    char *name; /* may be NULL */
    uint32_t connect_ms, ping_ms;
    size_t message_max;
    const struct log_ctx *log;
    struct redis_link link;
    struct resp_parser parser;
    uv_timer_t timer; /* back-off while down, the connect's deadline, then pings */
    bool timer_live, link_live;
    bool silent;      /* a ping was sent, and nothing whole has come since */
    unsigned greeted; /* answers of the greeting that are still to come */
    bool name_asked;
    unsigned tries;
    char why[WHY_SIZE];
    struct redis_sub_channel *channels;
    redis_sub_closed_fn *on_closed;
    void *closed_arg;
};

static void on_timer(uv_timer_t *t);

static struct redis_sub *sub_of(void *p)
{
    struct redis_sub *s = p;

    must(s != NULL && s->magic == SUB_MAGIC);
    return s;
}

/* --- state ----------------------------------------------------------------------------------- */

static bool may_follow(enum sub_state from, enum sub_state to)
{
    switch (to) {
    case SUB_DOWN:
        return from == SUB_CONNECTING || from == SUB_GREETING || from == SUB_UP;
    case SUB_CONNECTING:
        return from == SUB_DOWN;
    case SUB_GREETING:
        return from == SUB_CONNECTING;
    case SUB_UP:
        return from == SUB_GREETING;
    case SUB_CLOSING:
        return from != SUB_CLOSING;
    }
    return false;
}

static void set_state(struct redis_sub *s, enum sub_state to, const char *why)
{
    must(may_follow(s->state, to));
    s->state = to;
    if (to == SUB_CLOSING || to == SUB_CONNECTING || to == SUB_GREETING)
        return;
    if (strcmp(s->why, why) != 0)
        log_debug(s->log, to == SUB_UP ? "redis_sub.up" : "redis_sub.down",
                  LOG_S("where", s->url.where), LOG_S("why", why));
    (void)snprintf(s->why, sizeof s->why, "%s", why);
}

bool redis_sub_is_up(const struct redis_sub *s)
{
    return s->state == SUB_UP;
}

const char *redis_sub_why(const struct redis_sub *s)
{
    return s->why;
}

static bool is_linked(const struct redis_sub *s)
{
    return s->state == SUB_GREETING || s->state == SUB_UP;
}

static void wait_to_connect(struct redis_sub *s, uint64_t ms)
{
    must(uv_timer_start(&s->timer, on_timer, ms, 0) == 0);
}

/* why may lie in what is dropped here. */
static void fall(struct redis_sub *s, const char *why)
{
    char kept[WHY_SIZE];

    (void)snprintf(kept, sizeof kept, "%s", why);
    set_state(s, SUB_DOWN, kept);
    if (s->link.state != REDIS_LINK_SHUT)
        redis_link_shut(&s->link);
    resp_parser_done(&s->parser);
    s->silent = false;
    for (struct redis_sub_channel *ch = s->channels; ch != NULL; ch = ch->next)
        ch->fresh = false;
    wait_to_connect(s, backoff_ms(BACKOFF_FIRST_MS, BACKOFF_CAP_MS, s->tries));
    if (s->tries < TRIES_MAX)
        s->tries++;
}

/* --- commands -------------------------------------------------------------------------------- */

/* Without memory the connection falls at its next ping, because no answer comes. */
static void say(struct redis_sub *s, const struct slice *words, size_t n)
{
    const struct resp_part part = {words, n};
    size_t size = resp_size(&part, 1);
    struct buf *out = redis_link_out(&s->link);
    char *dst = buf_reserve(out, size);

    if (dst == NULL)
        return;
    resp_write(dst, &part, 1);
    buf_commit(out, size);
    redis_link_flush_later(&s->link);
}

static void say_channel(struct redis_sub *s, struct slice command,
                        const struct redis_sub_channel *ch)
{
    const struct slice words[] = {command, slice_of(ch->name, ch->name_len)};

    say(s, words, COUNT_OF(words));
}

static void greet(struct redis_sub *s)
{
    const struct slice login[] = {SLICE_LIT("AUTH"), slice_str(s->url.user),
                                  slice_str(s->url.password)};
    const struct slice plain[] = {login[0], login[2]};
    const struct slice name[] = {SLICE_LIT("CLIENT"), SLICE_LIT("SETNAME"), slice_str(s->name)};
    const struct slice ping[] = {SLICE_LIT("PING")};

    s->greeted = 1;
    if (s->url.password != NULL) {
        s->greeted++;
        say(s, s->url.user == NULL ? plain : login, s->url.user == NULL ? 2 : 3);
    }
    s->name_asked = s->name != NULL;
    if (s->name_asked) {
        s->greeted++;
        say(s, name, COUNT_OF(name));
    }
    say(s, ping, COUNT_OF(ping));
}

/* --- what comes ------------------------------------------------------------------------------ */

static void rise(struct redis_sub *s)
{
    set_state(s, SUB_UP, "");
    must(uv_timer_start(&s->timer, on_timer, s->ping_ms, s->ping_ms) == 0);
    for (struct redis_sub_channel *ch = s->channels; ch != NULL; ch = ch->next)
        say_channel(s, SLICE_LIT("SUBSCRIBE"), ch);
}

static void refused(struct redis_sub *s, const redisReply *reply)
{
    struct slice text = SLICE_LIT("this is no answer of Redis");
    char why[WHY_SIZE];

    if (reply->type == REDIS_REPLY_ERROR)
        text = slice_of(reply->str, reply->len);
    /* A peer may answer with what it was sent. */
    if (s->url.password != NULL &&
        memmem(text.ptr, text.len, s->url.password, strlen(s->url.password)) != NULL)
        text = SLICE_LIT("(the answer repeats the password and is not shown)");
    (void)snprintf(why, sizeof why, "refused: " SLICE_FMT, SLICE_ARG(text));
    fall(s, why);
}

/* The answers come in order: the password's, the name's (which an ACL may refuse), the ping's. */
static void greeting_reply(struct redis_sub *s, const redisReply *reply)
{
    bool fine = reply->type == REDIS_REPLY_STATUS || (s->name_asked && s->greeted == 2);

    if (!fine) {
        refused(s, reply);
        return;
    }
    if (--s->greeted == 0)
        rise(s);
}

static struct redis_sub_channel *find(struct redis_sub *s, const redisReply *name)
{
    struct redis_sub_channel *ch = s->channels;

    while (ch != NULL && !(name->type == REDIS_REPLY_STRING && name->len == ch->name_len &&
                           memcmp(name->str, ch->name, ch->name_len) == 0))
        ch = ch->next;
    return ch;
}

static void begin_listening(struct redis_sub *s, struct redis_sub_channel *ch)
{
    s->tries = 0; /* it was of use */
    ch->fresh = true;
    if (ch->on_fresh != NULL)
        ch->on_fresh(ch->arg);
}

static void push(struct redis_sub *s, const redisReply *reply)
{
    const redisReply *kind = reply->element[0], *body = reply->element[2];
    struct redis_sub_channel *ch = find(s, reply->element[1]);
    struct slice what = slice_of(kind->str, kind->len);

    if (ch == NULL || kind->type != REDIS_REPLY_STRING)
        return; /* not listened to any more */
    if (slice_is(what, "message") && body->type == REDIS_REPLY_STRING)
        ch->on_message(ch->arg, slice_of(body->str, body->len));
    else if (slice_is(what, "subscribe"))
        begin_listening(s, ch);
}

static void take_reply(struct redis_sub *s, const redisReply *reply)
{
    s->silent = false;
    if (s->state == SUB_GREETING)
        greeting_reply(s, reply);
    else if (reply->type == REDIS_REPLY_ERROR)
        refused(s, reply);
    else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == PUSH_WORDS)
        push(s, reply);
    /* else: the answer to a ping; that it came is all it says */
}

static void on_bytes(void *arg, const char *bytes, size_t len)
{
    struct redis_sub *s = sub_of(arg);
    redisReply *reply = NULL;

    resp_parser_feed(&s->parser, bytes, len);
    while (is_linked(s)) {
        switch (resp_parser_next(&s->parser, &reply)) {
        case RESP_GOT_NOTHING:
            return;
        case RESP_GOT_REPLY:
            take_reply(s, reply);
            freeReplyObject(reply);
            break;
        case RESP_GOT_TOO_BIG:
        case RESP_GOT_NO_MEMORY:
        case RESP_GOT_BAD:
            fall(s, resp_parser_why(&s->parser));
            return;
        }
    }
}

/* --- the connection -------------------------------------------------------------------------- */

static void on_link_lost(void *arg, int uv, const char *doing)
{
    struct redis_sub *s = sub_of(arg);
    char why[WHY_SIZE];

    (void)snprintf(why, sizeof why, "%s: %s", doing,
                   uv == UV_EOF ? "Redis closed the connection" : uv_strerror(uv));
    fall(s, why);
}

static void on_link_open(void *arg)
{
    struct redis_sub *s = sub_of(arg);

    set_state(s, SUB_GREETING, "");
    if (resp_parser_init(&s->parser, s->message_max) != ERR_OK)
        fall(s, "out of memory");
    else
        greet(s);
}

static void ping(struct redis_sub *s)
{
    const struct slice words[] = {SLICE_LIT("PING")};

    if (s->silent) {
        fall(s, "nothing was heard in time");
        return;
    }
    s->silent = true;
    say(s, words, COUNT_OF(words));
}

static void on_timer(uv_timer_t *t)
{
    struct redis_sub *s = sub_of(t->data);

    switch (s->state) {
    case SUB_DOWN:
        set_state(s, SUB_CONNECTING, "");
        must(uv_timer_start(&s->timer, on_timer, s->connect_ms, 0) == 0);
        redis_link_open(&s->link, uv_now(s->loop) + s->connect_ms);
        return;
    case SUB_CONNECTING:
    case SUB_GREETING:
        fall(s, s->state == SUB_CONNECTING ? "no connection in time" : "no greeting in time");
        return;
    case SUB_UP:
        ping(s);
        return;
    case SUB_CLOSING:
        return;
    }
}

/* --- channels -------------------------------------------------------------------------------- */

enum err redis_sub_add(struct redis_sub *s, const struct redis_sub_ear *ear,
                       struct redis_sub_channel **ret)
{
    struct redis_sub_channel *ch = malloc(sizeof *ch + ear->channel.len);

    if (ch == NULL)
        return ERR_NOMEM;
    *ch = (struct redis_sub_channel){.sub = s,
                                     .next = s->channels,
                                     .prev = &s->channels,
                                     .on_message = ear->on_message,
                                     .on_fresh = ear->on_fresh,
                                     .arg = ear->arg,
                                     .name_len = ear->channel.len};
    memcpy(ch->name, ear->channel.ptr, ear->channel.len);
    if (ch->next != NULL)
        ch->next->prev = &ch->next;
    s->channels = ch;
    if (s->state == SUB_UP)
        say_channel(s, SLICE_LIT("SUBSCRIBE"), ch);
    *ret = ch;
    return ERR_OK;
}

bool redis_sub_is_fresh(const struct redis_sub_channel *ch)
{
    return ch->fresh;
}

void redis_sub_remove(struct redis_sub_channel **p)
{
    struct redis_sub_channel *ch = *p;

    if (ch == NULL)
        return;
    *p = NULL;
    *ch->prev = ch->next;
    if (ch->next != NULL)
        ch->next->prev = ch->prev;
    if (ch->sub->state == SUB_UP)
        say_channel(ch->sub, SLICE_LIT("UNSUBSCRIBE"), ch);
    free(ch);
}

/* --- life ------------------------------------------------------------------------------------ */

static void free_parts(struct redis_sub *s)
{
    resp_parser_done(&s->parser);
    redis_url_done(&s->url);
    free(s->name);
    s->magic = 0;
    free(s);
}

static void finish_if_done(struct redis_sub *s)
{
    redis_sub_closed_fn *on_closed = s->on_closed;
    void *arg = s->closed_arg;

    if (s->timer_live || s->link_live)
        return;
    free_parts(s);
    if (on_closed != NULL)
        on_closed(arg);
}

static void on_link_closed(void *arg)
{
    struct redis_sub *s = sub_of(arg);

    s->link_live = false;
    finish_if_done(s);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct redis_sub *s = sub_of(h->data);

    s->timer_live = false;
    finish_if_done(s);
}

void redis_sub_close(struct redis_sub **p, redis_sub_closed_fn *on_closed, void *arg)
{
    struct redis_sub *s = sub_of(*p);

    *p = NULL;
    must(s->channels == NULL);
    set_state(s, SUB_CLOSING, "");
    s->on_closed = on_closed;
    s->closed_arg = arg;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    redis_link_close(&s->link);
}

static bool is_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~')
            return false;
    }
    return true;
}

/* Nothing of libuv may be begun before the last thing that can fail. */
static enum err take_options(struct redis_sub *s, const struct redis_sub_options *opt,
                             struct fault *reterr)
{
    static const struct redis_link_events events = {.opened = on_link_open,
                                                    .bytes = on_bytes,
                                                    .lost = on_link_lost,
                                                    .closed = on_link_closed};
    enum err e = redis_url_parse(opt->url, &s->url, reterr);

    if (e != ERR_OK)
        return e;
    if (opt->name != NULL && !is_name(opt->name))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "Redis connection name: only printable ASCII without spaces");
    s->log = opt->log;
    s->connect_ms = opt->connect_ms == 0 ? CONNECT_MS : opt->connect_ms;
    s->ping_ms = opt->ping_ms == 0 ? PING_MS : opt->ping_ms;
    s->message_max = opt->message_max == 0 ? MESSAGE_MAX : opt->message_max;
    if (opt->name != NULL)
        s->name = strdup(opt->name);
    if ((opt->name != NULL && s->name == NULL) ||
        redis_link_init(&s->link, s->loop, &s->url, &events, s) != ERR_OK)
        return fault_set(reterr, ERR_NOMEM, 0, "Redis subscriber: out of memory");
    return ERR_OK;
}

enum err redis_sub_new(uv_loop_t *loop, const struct redis_sub_options *opt,
                       struct redis_sub **ret, struct fault *reterr)
{
    struct redis_sub *s = calloc(1, sizeof *s);
    enum err e;

    if (s == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "Redis subscriber: out of memory");
    s->magic = SUB_MAGIC;
    s->loop = loop;
    (void)snprintf(s->why, sizeof s->why, "not connected yet");
    e = take_options(s, opt, reterr);
    if (e != ERR_OK) {
        free_parts(s);
        return e;
    }
    must(uv_timer_init(loop, &s->timer) == 0);
    s->timer.data = s;
    s->timer_live = s->link_live = true;
    *ret = s;
    return ERR_OK;
}

void redis_sub_start(struct redis_sub *s)
{
    must(s->state == SUB_DOWN && !uv_is_active((uv_handle_t *)&s->timer));
    wait_to_connect(s, 0);
}
