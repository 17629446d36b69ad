#include "queue/consumer_held.h"

#define BUCKETS_FIRST 64

enum err held_init(struct held *h)
{
    *h = (struct held){.n_buckets = BUCKETS_FIRST};
    h->line_end = &h->line;
    h->news_end = &h->news;
    h->buckets = calloc(h->n_buckets, sizeof(struct held_job *));
    return h->buckets == NULL ? ERR_NOMEM : ERR_OK;
}

void held_done(struct held *h)
{
    for (size_t i = 0; i < h->n_buckets; i++) {
        while (h->buckets[i] != NULL) {
            struct held_job *job = h->buckets[i];

            h->buckets[i] = job->next;
            free(job);
        }
    }
    free(h->buckets);
    *h = (struct held){.n_buckets = 0};
}

/* The last bytes of an id are random; an id from outside can at worst make a bucket long. */
static struct held_job **bucket_of(struct held_job **buckets, size_t n, const struct uuid *id)
{
    uint64_t hash;

    memcpy(&hash, id->bytes + UUID_LEN - sizeof hash, sizeof hash);
    return &buckets[hash & (n - 1)];
}

struct held_job *held_find(const struct held *h, const struct uuid *id)
{
    struct held_job *job = *bucket_of(h->buckets, h->n_buckets, id);

    while (job != NULL && !uuid_eq(&job->id, id))
        job = job->next;
    return job;
}

/* Without memory the buckets stay as they are, only longer. */
static void grow(struct held *h)
{
    size_t n = h->n_buckets * 2;
    struct held_job **buckets = calloc(n, sizeof(struct held_job *));

    if (buckets == NULL)
        return;
    for (size_t i = 0; i < h->n_buckets; i++) {
        while (h->buckets[i] != NULL) {
            struct held_job *job = h->buckets[i];
            struct held_job **to = bucket_of(buckets, n, &job->id);

            h->buckets[i] = job->next;
            job->next = *to;
            *to = job;
        }
    }
    free(h->buckets);
    h->buckets = buckets;
    h->n_buckets = n;
}

struct held_job *held_add(struct held *h, const struct uuid *id, uint32_t attempt)
{
    struct held_job *job = calloc(1, sizeof *job);
    struct held_job **bucket;

    must(held_find(h, id) == NULL);
    if (job == NULL)
        return NULL;
    if (h->len >= h->n_buckets)
        grow(h);
    job->id = *id;
    job->attempt = attempt;
    job->state = HELD_RUNNING;
    bucket = bucket_of(h->buckets, h->n_buckets, id);
    job->next = *bucket;
    *bucket = job;
    h->len++;
    return job;
}

static void leave_line(struct held *h, struct held_job *job)
{
    struct held_job **at = &h->line;

    while (*at != job) {
        must(*at != NULL);
        at = &(*at)->next_line;
    }
    *at = job->next_line;
    if (h->line_end == &job->next_line)
        h->line_end = at;
    job->next_line = NULL;
}

static void leave_news(struct held *h, struct held_job *job)
{
    struct held_job **at = &h->news;

    while (*at != job) {
        must(*at != NULL);
        at = &(*at)->next_news;
    }
    *at = job->next_news;
    if (h->news_end == &job->next_news)
        h->news_end = at;
    job->next_news = NULL;
    job->has_news = false;
}

void held_remove(struct held *h, struct held_job *job)
{
    struct held_job **at = bucket_of(h->buckets, h->n_buckets, &job->id);

    if (job->state == HELD_IN_LINE)
        leave_line(h, job);
    if (job->has_news)
        leave_news(h, job);
    while (*at != job) {
        must(*at != NULL);
        at = &(*at)->next;
    }
    *at = job->next;
    h->len--;
    must(h->line != job && h->news != job);
    free(job);
}

struct held_job *held_any(const struct held *h)
{
    if (h->line != NULL)
        return h->line; /* the cheapest to take out */
    for (size_t i = 0; i < h->n_buckets && h->len > 0; i++) {
        if (h->buckets[i] != NULL)
            return h->buckets[i];
    }
    return NULL;
}

void held_ids(const struct held *h, struct slice *dst)
{
    for (size_t i = 0; i < h->n_buckets; i++) {
        for (const struct held_job *job = h->buckets[i]; job != NULL; job = job->next)
            *dst++ = slice_of(job->id.bytes, UUID_LEN);
    }
}

void held_line_add(struct held *h, struct held_job *job)
{
    must(job->state != HELD_IN_LINE);
    if (job->has_news)
        leave_news(h, job);
    job->state = HELD_IN_LINE;
    *h->line_end = job;
    h->line_end = &job->next_line;
}

struct held_job *held_line_take(struct held *h)
{
    struct held_job *job = h->line;

    if (job == NULL)
        return NULL;
    leave_line(h, job);
    job->state = HELD_SENT;
    return job;
}

void held_news_add(struct held *h, struct held_job *job)
{
    if (job->has_news)
        return;
    job->has_news = true;
    *h->news_end = job;
    h->news_end = &job->next_news;
}

struct held_job *held_news_take(struct held *h)
{
    struct held_job *job = h->news;

    if (job != NULL)
        leave_news(h, job);
    return job;
}
