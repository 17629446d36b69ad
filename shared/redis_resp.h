/* redis_resp: the Redis protocol (RESP2) as bytes: commands out, replies in.
 *
 * hiredis parses; what it would take on trust is bounded here, before it allocates: a reply may
 * hold max_bytes in all, an array element counting as RESP_ELEMENT_COST. */
#ifndef SHARED_REDIS_RESP_H
#define SHARED_REDIS_RESP_H

#include <hiredis/hiredis.h>

#include "shared/buf.h"

#define RESP_ELEMENT_COST 64

/* A command is the words of its parts, one part after the other. */
struct resp_part {
    const struct slice *words;
    size_t n;
};
size_t resp_size(const struct resp_part *parts, size_t n_parts);
/* Writes resp_size() bytes. */
void resp_write(char *dst, const struct resp_part *parts, size_t n_parts);
/* n in decimal, as a slice of dst. */
#define RESP_NUMBER_SIZE 21
struct slice resp_number(size_t n, char dst[RESP_NUMBER_SIZE]);

struct resp_budget {
    size_t max, left;
    bool over;
    const redisReplyObjectFunctions *build; /* hiredis' own */
};

struct resp_parser {
    redisReader *reader;
    redisReplyObjectFunctions build; /* hiredis' own, with the budget before it */
    struct resp_budget budget;
    size_t since_reply; /* bytes fed since the last whole reply */
};

enum resp_got {
    RESP_GOT_NOTHING,
    RESP_GOT_REPLY,
    RESP_GOT_BAD,
    RESP_GOT_TOO_BIG,
    RESP_GOT_NO_MEMORY
};

/* May be called again, after resp_parser_done(). */
MUST_USE enum err resp_parser_init(struct resp_parser *p, size_t max_bytes);
void resp_parser_done(struct resp_parser *p);
/* The next whole reply; the caller frees it with freeReplyObject(). After BAD, TOO_BIG or
 * NO_MEMORY only resp_parser_done() may follow. */
void resp_parser_feed(struct resp_parser *p, const char *bytes, size_t len);
enum resp_got resp_parser_next(struct resp_parser *p, redisReply **ret);
const char *resp_parser_why(const struct resp_parser *p);

/* What an error reply asks for. */
enum resp_verdict {
    RESP_FINE,     /* no error */
    RESP_NOSCRIPT, /* load the script and repeat */
    RESP_FAILOVER, /* this is not, or not yet, the server to talk to */
    RESP_LATER,    /* the server cannot now; the same command may work later */
    RESP_REFUSED,  /* anything else */
};
enum resp_verdict resp_judge(const redisReply *reply);

#endif
