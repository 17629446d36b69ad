#include "shared/ndjson.h"

void ndjson_done(struct ndjson *n)
{
    buf_done(&n->in);
}

bool ndjson_feed(struct ndjson *n, struct slice piece)
{
    buf_consume(&n->in, n->at);
    n->seen -= n->at;
    n->at = 0;
    buf_add_slice(&n->in, piece);
    return !buf_failed(&n->in);
}

void ndjson_end(struct ndjson *n)
{
    n->ended = true;
}

/* Gives false when there is no whole line. *ret has no LF. */
static bool cut(struct ndjson *n, struct slice *ret)
{
    const char *from, *lf = NULL;

    if (n->in.len == n->at)
        return false;
    from = n->in.data + n->at;
    if (n->in.len > n->seen)
        lf = memchr(n->in.data + n->seen, '\n', n->in.len - n->seen);
    if (lf == NULL && !n->ended) {
        n->seen = n->in.len;
        return false;
    }
    if (lf == NULL)
        lf = n->in.data + n->in.len;
    *ret = slice_of(from, (size_t)(lf - from));
    n->at = (size_t)(lf - n->in.data) + 1;
    if (n->at > n->in.len)
        n->at = n->in.len;
    n->seen = n->at;
    return true;
}

bool ndjson_is_drained(const struct ndjson *n)
{
    return n->seen == n->in.len;
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t')
            return false;
    }
    return true;
}

/* Of a line that has not ended: is it too long already? One CR more may belong to its end. */
static bool drop_rest(struct ndjson *n)
{
    bool first = !n->dropping;

    if (first && n->in.len - n->at <= n->max + 1)
        return false;
    n->dropping = true;
    n->at = n->seen = n->in.len;
    if (first)
        n->line++;
    return first;
}

enum ndjson_next ndjson_next(struct ndjson *n, struct slice *ret)
{
    struct slice line;

    while (cut(n, &line)) {
        if (n->dropping) {
            n->dropping = false;
            continue;
        }
        n->line++;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len > n->max)
            return NDJSON_TOO_LONG;
        if (is_blank(line))
            continue;
        *ret = line;
        return NDJSON_LINE;
    }
    return drop_rest(n) ? NDJSON_TOO_LONG : NDJSON_MORE;
}
