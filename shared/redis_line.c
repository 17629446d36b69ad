#include "shared/redis_line.h"

#define FIRST_CAP 64
#define KEPT_IDLE \
    ((size_t)1024 * 1024) /* more memory than this is given back when nothing is kept */

void redis_line_done(struct redis_line *l)
{
    free(l->ring);
    buf_done(&l->kept);
    *l = (struct redis_line){0};
}

static struct redis_waiter *slot(const struct redis_line *l, size_t i)
{
    return &l->ring[(l->head + i) & (l->cap - 1)];
}

static bool grow(struct redis_line *l)
{
    size_t cap = l->cap == 0 ? FIRST_CAP : l->cap * 2;
    struct redis_waiter *ring;

    if (cap > SIZE_MAX / sizeof *ring)
        return false;
    ring = malloc(cap * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < l->len; i++)
        ring[i] = *slot(l, i);
    free(l->ring);
    l->ring = ring;
    l->cap = cap;
    l->head = 0;
    return true;
}

/* Moves what is kept to the front once half of the run is done with: each byte moves once at
 * most for each byte that leaves. */
static void compact(struct redis_line *l)
{
    if (l->kept_at < l->kept.len - l->kept_at)
        return;
    buf_consume(&l->kept, l->kept_at);
    l->kept_at = 0;
}

bool redis_line_reserve(struct redis_line *l, size_t kept_bytes)
{
    if (l->len == l->cap && !grow(l))
        return false;
    if (kept_bytes == 0)
        return true;
    if (l->kept.len + kept_bytes > l->kept.cap && l->kept_at > 0)
        compact(l);
    if (buf_reserve(&l->kept, kept_bytes) != NULL)
        return true;
    l->kept.failed = false; /* the run itself is whole */
    return false;
}

char *redis_line_push(struct redis_line *l, struct redis_waiter w)
{
    char *keep = NULL;

    must(l->len < l->cap);
    *slot(l, l->len++) = w;
    l->bytes += w.bytes;
    if (w.script == NULL)
        return NULL;
    keep = buf_reserve(&l->kept, w.bytes);
    must(keep != NULL);
    buf_commit(&l->kept, w.bytes);
    return keep;
}

const struct redis_waiter *redis_line_first(const struct redis_line *l)
{
    must(l->len > 0);
    return slot(l, 0);
}

const char *redis_line_kept(const struct redis_line *l)
{
    must(redis_line_first(l)->script != NULL);
    return l->kept.data + l->kept_at;
}

static void forget_kept(struct redis_line *l, size_t bytes)
{
    l->kept_at += bytes;
    if (l->kept_at < l->kept.len)
        return;
    l->kept_at = 0;
    if (l->kept.cap > KEPT_IDLE)
        buf_done(&l->kept);
    else
        buf_clear(&l->kept);
}

struct redis_waiter redis_line_pop(struct redis_line *l)
{
    struct redis_waiter w = *redis_line_first(l);

    l->head = (l->head + 1) & (l->cap - 1);
    l->len--;
    l->bytes -= w.bytes;
    if (w.script != NULL)
        forget_kept(l, w.bytes);
    return w;
}

uint64_t redis_line_earliest_ms(const struct redis_line *l)
{
    uint64_t earliest = UINT64_MAX;

    for (size_t i = 0; i < l->len; i++) {
        if (slot(l, i)->deadline_ms < earliest)
            earliest = slot(l, i)->deadline_ms;
    }
    return earliest;
}
