/* consumer_held: the jobs that one consumer holds, by id, and the two lines in which some of them
 * wait: to be settled, and to have their progress shown. Nobody but the consumer includes this. */
#ifndef QUEUE_CONSUMER_HELD_H
#define QUEUE_CONSUMER_HELD_H

#include "queue/consumer.h"
#include "queue/state_codec.h"

/*  running --settle--> in line --sent--> sent --certain--> (gone)
 *                         ^-----lost------/                        */
enum held_state { HELD_RUNNING, HELD_IN_LINE, HELD_SENT };

struct held_job {
    struct held_job *next;      /* in its bucket */
    struct held_job *next_line; /* in the line of settlements */
    struct held_job *next_news; /* in the line of progress */
    struct uuid id;
    uint32_t attempt;
    enum held_state state;

    bool resent; /* an earlier send may have been carried out: "gone" means done */
    enum settle_kind kind;
    uint64_t delay_ms;
    char error[STATE_TEXT_MAX];
    size_t error_len;
    settle_fn *cb;
    void *arg;

    bool has_news;
    unsigned progress;
    char note[STATE_TEXT_MAX];
    size_t note_len;
};

struct held {
    struct held_job **buckets;
    size_t n_buckets, len;
    struct held_job *line, **line_end;
    struct held_job *news, **news_end;
};

MUST_USE enum err held_init(struct held *h);
/* Frees all; calls nobody. */
void held_done(struct held *h);
struct held_job *held_find(const struct held *h, const struct uuid *id);
/* NULL: no memory. The id must not be there. */
struct held_job *held_add(struct held *h, const struct uuid *id, uint32_t attempt);
/* Takes it out of everything and frees it. */
void held_remove(struct held *h, struct held_job *job);
/* Any job, or NULL. */
struct held_job *held_any(const struct held *h);
/* Writes the ids one behind the other. */
void held_ids(const struct held *h, struct slice *dst);

/* -> in line. Its progress is news no longer. */
void held_line_add(struct held *h, struct held_job *job);
struct held_job *held_line_take(struct held *h);          /* -> sent; NULL: the line is empty */
void held_news_add(struct held *h, struct held_job *job); /* does nothing if it is there */
struct held_job *held_news_take(struct held *h);

#endif
