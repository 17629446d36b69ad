/* What the tests of the queue share: a Redis of the test program's own, and a blocking connection
 * on which scripts are called by hand. */
#ifndef TESTS_UNIT_TEST_QUEUE_HELP_H
#define TESTS_UNIT_TEST_QUEUE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <unistd.h>

#include "queue/keys.h"
#include "queue/scripts.h"
#include "queue/state_codec.h"
#include "tests/unit/redis_server.h"

#define HELPER static __attribute__((unused))

/* --- a server and a blocking connection ------------------------------------------------------ */

static struct redis_server *server;
static redisContext *hand;
static struct queue_keys keys; /* of the queue "q" */

HELPER void connect_hand(void)
{
    struct timeval patience = {.tv_sec = 30};

    hand = redisConnectUnixWithTimeout(redis_server_path(server), patience);
    assert_non_null(hand);
    assert_int_equal(hand->err, 0);
    assert_int_equal(redisSetTimeout(hand, patience), REDIS_OK);
}

HELPER int start_server(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(240); /* a wait that never ends, ends here */
    server = redis_server_new(false);
    connect_hand();
    assert_int_equal(keys_init(&keys, "q", NULL), ERR_OK);
    return 0;
}

HELPER int stop_server(void **state)
{
    (void)state;
    redisFree(hand);
    hand = NULL;
    redis_server_free(&server);
    return 0;
}

/* As hiredis formats: %s, %b. To be freed. */
HELPER redisReply *ask(const char *fmt, ...)
{
    va_list ap;
    redisReply *r;

    va_start(ap, fmt);
    r = redisvCommand(hand, fmt, ap);
    va_end(ap);
    if (r == NULL)
        fail_msg("%s: %s", fmt, hand->errstr);
    else if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", fmt, r->str);
    return r;
}

#define RUN(...) freeReplyObject(ask(__VA_ARGS__))

HELPER long long ask_number(const char *fmt, ...)
{
    va_list ap;
    redisReply *r;
    long long n;

    va_start(ap, fmt);
    r = redisvCommand(hand, fmt, ap);
    va_end(ap);
    if (r == NULL)
        fail_msg("%s: %s", fmt, hand->errstr);
    n = r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : r->integer;
    freeReplyObject(r);
    return n;
}

HELPER int flush(void **state)
{
    (void)state;
    RUN("FLUSHALL");
    return 0;
}

HELPER void run_until(uv_loop_t *loop, const bool *flag)
{
    while (!*flag)
        assert_true(uv_run(loop, UV_RUN_ONCE) != 0 || *flag);
}

/* --- scripts by hand ------------------------------------------------------------------------- */

/* Calls with the keys of the queue "q" and, when consumer is not NULL, its hash of claims; with
 * EVAL, so that an older copy of the script is never meant. The reply is to be freed; it may be
 * an error. */
HELPER redisReply *eval_raw(enum queue_script script, const struct slice *k, size_t n_keys,
                            const struct slice *args, size_t n_args)
{
    const struct redis_script *s = queue_script(script);
    size_t n = 3 + n_keys + n_args;
    const char **argv = calloc(n, sizeof *argv);
    size_t *len = calloc(n, sizeof *len);
    char count[8];
    redisReply *r;

    assert_non_null(argv);
    assert_non_null(len);
    (void)snprintf(count, sizeof count, "%zu", n_keys);
    argv[0] = "EVAL", len[0] = 4;
    argv[1] = s->source, len[1] = s->len;
    argv[2] = count, len[2] = strlen(count);
    for (size_t i = 0; i < n_keys + n_args; i++) {
        struct slice w = i < n_keys ? k[i] : args[i - n_keys];

        argv[3 + i] = w.ptr;
        len[3 + i] = w.len;
    }
    r = redisCommandArgv(hand, (int)n, argv, len);
    free(argv);
    free(len);
    assert_non_null(r);
    return r;
}

HELPER redisReply *eval(enum queue_script script, const char *consumer,
                        const struct slice *args, size_t n_args)
{
    struct slice k[QUEUE_KEYS + 1];
    char active[KEYS_ACTIVE_SIZE];
    redisReply *r;

    memcpy(k, keys.key, sizeof keys.key);
    if (consumer != NULL)
        k[QUEUE_KEYS] = keys_active(&keys, consumer, active);
    r = eval_raw(script, k, QUEUE_KEYS + (consumer != NULL), args, n_args);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", queue_script(script)->name, r->str);
    return r;
}

#define EVAL(script, consumer, ...)                             \
    eval(script, consumer, (const struct slice[]){__VA_ARGS__}, \
         COUNT_OF(((const struct slice[]){__VA_ARGS__})))

HELPER long long at(const redisReply *r, size_t i)
{
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_true(i < r->elements);
    assert_int_equal(r->element[i]->type, REDIS_REPLY_INTEGER);
    return r->element[i]->integer;
}

HELPER struct slice bytes_at(const redisReply *r, size_t i)
{
    assert_true(i < r->elements);
    assert_int_equal(r->element[i]->type, REDIS_REPLY_STRING);
    return slice_of(r->element[i]->str, r->element[i]->len);
}

/* --- jobs ------------------------------------------------------------------------------------ */

/* An id that tells its number. */
HELPER struct uuid id_of(unsigned n)
{
    struct uuid id = {{0x01, 0x8f, 0, 0, 0, 0, 0x70, 0, 0x80}};

    id.bytes[12] = (uint8_t)(n >> 24);
    id.bytes[13] = (uint8_t)(n >> 16);
    id.bytes[14] = (uint8_t)(n >> 8);
    id.bytes[15] = (uint8_t)n;
    return id;
}

HELPER struct slice id_slice(const struct uuid *id)
{
    return slice_of(id->bytes, UUID_LEN);
}

/* A job in our own encoding, of type noop, whose payload makes it about `size` bytes long. */
HELPER void add_item(struct buf *out, const struct uuid *id, size_t size)
{
    msgpack_packer pk;
    size_t before = out->len;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, 4);
    mp_str(&pk, "v");
    msgpack_pack_int(&pk, 1);
    mp_str(&pk, "id");
    mp_bin(&pk, id_slice(id));
    mp_str(&pk, "type");
    mp_str(&pk, "noop");
    mp_str(&pk, "args");
    msgpack_pack_map(&pk, 1);
    mp_str(&pk, "payload");
    size = size > out->len - before + 5 ? size - (out->len - before) - 5 : 0;
    msgpack_pack_str(&pk, size);
    for (size_t i = 0; i < size; i++)
        buf_add_char(out, 'x');
    assert_false(buf_failed(out));
}

/* The state of a job as Redis has it; false: none. The slices are valid until the next call. */
HELPER bool state_of(const struct uuid *id, struct state_value *ret)
{
    static redisReply *last;

    freeReplyObject(last);
    last = ask("HGET mr:{q}:state %b", id->bytes, (size_t)UUID_LEN);
    if (last->type == REDIS_REPLY_NIL) {
        freeReplyObject(last);
        last = NULL;
        return false;
    }
    if (state_decode(slice_of(last->str, last->len), ret) != ERR_OK)
        fail_msg("not a state value, %zu bytes", (size_t)last->len);
    return true;
}

#endif
