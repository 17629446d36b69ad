#include "shared/redis_resp.h"

/* An idle reader keeps this much memory, so that bursts do not allocate it anew each time. */
#define READER_KEEP ((size_t)256 * 1024)

/* --- commands ------------------------------------------------------------------------------- */

static size_t digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

static char *put_number(char *p, size_t n)
{
    size_t digits = digits_of(n);

    for (size_t i = digits; i > 0; i--, n /= 10)
        p[i - 1] = (char)('0' + n % 10);
    return p + digits;
}

static char *put_line(char *p, char mark, size_t n)
{
    *p = mark;
    p = put_number(p + 1, n);
    p[0] = '\r';
    p[1] = '\n';
    return p + 2;
}

static char *put_word(char *p, struct slice word)
{
    p = put_line(p, '$', word.len);
    if (word.len > 0)
        memcpy(p, word.ptr, word.len);
    p += word.len;
    p[0] = '\r';
    p[1] = '\n';
    return p + 2;
}

static size_t count_words(const struct resp_part *parts, size_t n_parts)
{
    size_t n = 0;

    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].n;
    return n;
}

size_t resp_size(const struct resp_part *parts, size_t n_parts)
{
    size_t size = digits_of(count_words(parts, n_parts)) + 3;

    for (size_t i = 0; i < n_parts; i++) {
        for (size_t j = 0; j < parts[i].n; j++)
            size += digits_of(parts[i].words[j].len) + parts[i].words[j].len + 5;
    }
    return size;
}

void resp_write(char *dst, const struct resp_part *parts, size_t n_parts)
{
    dst = put_line(dst, '*', count_words(parts, n_parts));
    for (size_t i = 0; i < n_parts; i++) {
        for (size_t j = 0; j < parts[i].n; j++)
            dst = put_word(dst, parts[i].words[j]);
    }
}

struct slice resp_number(size_t n, char dst[RESP_NUMBER_SIZE])
{
    return slice_of(dst, (size_t)(put_number(dst, n) - dst));
}

/* --- replies -------------------------------------------------------------------------------- */

static bool spend(struct resp_budget *b, size_t n, size_t each)
{
    if (n > b->left / each) {
        b->over = true;
        return false;
    }
    b->left -= n * each;
    return true;
}

static void *build_string(const redisReadTask *task, char *str, size_t len)
{
    struct resp_budget *b = task->privdata;

    return spend(b, len, 1) ? b->build->createString(task, str, len) : NULL;
}

/* hiredis 1 made the number of elements a size_t. It is never negative here. */
#if HIREDIS_MAJOR >= 1
static void *build_array(const redisReadTask *task, size_t n)
#else
static void *build_array(const redisReadTask *task, int n)
#endif
{
    struct resp_budget *b = task->privdata;

    return spend(b, (size_t)n, RESP_ELEMENT_COST) ? b->build->createArray(task, n) : NULL;
}

enum err resp_parser_init(struct resp_parser *p, size_t max_bytes)
{
    *p = (struct resp_parser){.reader = redisReaderCreate()};
    if (p->reader == NULL)
        return ERR_NOMEM;
    p->budget =
        (struct resp_budget){.max = max_bytes, .left = max_bytes, .build = p->reader->fn};
    p->build = *p->reader->fn;
    p->build.createString = build_string;
    p->build.createArray = build_array;
    p->reader->fn = &p->build;
    p->reader->privdata = &p->budget;
    p->reader->maxbuf = READER_KEEP;
    return ERR_OK;
}

void resp_parser_done(struct resp_parser *p)
{
    if (p->reader != NULL)
        redisReaderFree(p->reader);
    p->reader = NULL;
}

void resp_parser_feed(struct resp_parser *p, const char *bytes, size_t len)
{
    p->since_reply += len;
    (void)redisReaderFeed(p->reader, bytes, len); /* a failure shows at the next reply */
}

static enum resp_got failure_of(const struct resp_parser *p)
{
    if (p->budget.over)
        return RESP_GOT_TOO_BIG;
    return p->reader->err == REDIS_ERR_OOM ? RESP_GOT_NO_MEMORY : RESP_GOT_BAD;
}

enum resp_got resp_parser_next(struct resp_parser *p, redisReply **ret)
{
    void *reply = NULL;

    if (redisReaderGetReply(p->reader, &reply) != REDIS_OK)
        return failure_of(p);
    if (reply == NULL) {
        /* What frames a value is less than RESP_ELEMENT_COST. */
        p->budget.over = p->since_reply > p->budget.max + RESP_ELEMENT_COST;
        return p->budget.over ? RESP_GOT_TOO_BIG : RESP_GOT_NOTHING;
    }
    p->since_reply = p->reader->len - p->reader->pos;
    p->budget.left = p->budget.max;
    *ret = reply;
    return RESP_GOT_REPLY;
}

const char *resp_parser_why(const struct resp_parser *p)
{
    return p->budget.over ? "reply over the configured limit" : p->reader->errstr;
}

/* --- error replies -------------------------------------------------------------------------- */

enum resp_verdict resp_judge(const redisReply *reply)
{
    static const struct {
        const char *code; /* the first word, with the space behind it */
        enum resp_verdict verdict;
    } table[] = {
        {"NOSCRIPT ", RESP_NOSCRIPT}, {"READONLY ", RESP_FAILOVER},
        {"LOADING ", RESP_FAILOVER},  {"MASTERDOWN ", RESP_FAILOVER},
        {"OOM ", RESP_LATER},         {"MISCONF ", RESP_LATER},
        {"BUSY ", RESP_LATER},        {"NOREPLICAS ", RESP_LATER},
        {"TRYAGAIN ", RESP_LATER},    {"CLUSTERDOWN ", RESP_LATER},
    };

    if (reply->type != REDIS_REPLY_ERROR)
        return RESP_FINE;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (slice_starts(slice_of(reply->str, reply->len), table[i].code))
            return table[i].verdict;
    }
    return RESP_REFUSED;
}
