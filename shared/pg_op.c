#include <string.h>

#include "shared/pg_internal.h"

/* Where the next thing goes, behind the struct. */
static void *carve(char **at, size_t len)
{
    void *here = *at;

    *at += len;
    return here;
}

static size_t value_size(const struct pg_query *q, int i)
{
    if (q->values[i] == NULL)
        return 0;
    if (q->formats != NULL && q->formats[i] != 0)
        return (size_t)q->lengths[i];
    return strlen(q->values[i]) + 1;
}

static size_t text_size(const char *s)
{
    return s == NULL ? 0 : strlen(s) + 1;
}

static const char *copy_text(char **at, const char *s)
{
    size_t len = text_size(s);

    return len == 0 ? NULL : memcpy(carve(at, len), s, len);
}

static const int *copy_ints(char **at, const int *from, size_t n)
{
    return from == NULL ? NULL : memcpy(carve(at, n * sizeof *from), from, n * sizeof *from);
}

/* The parameters, in the order that keeps each aligned: pointers, numbers, bytes. */
static void copy_params(struct pg_op *op, const struct pg_query *q, char **at)
{
    size_t n = (size_t)q->n;
    const char **values = carve(at, n * sizeof *values);

    if (q->types != NULL)
        op->q.types = memcpy(carve(at, n * sizeof *q->types), q->types, n * sizeof *q->types);
    op->q.lengths = copy_ints(at, q->lengths, n);
    op->q.formats = copy_ints(at, q->formats, n);
    for (int i = 0; i < q->n; i++) {
        size_t len = value_size(q, i);

        values[i] = NULL;
        if (q->values[i] != NULL)
            values[i] = len == 0 ? "" : memcpy(carve(at, len), q->values[i], len);
    }
    op->q.values = values;
}

enum err pg_op_new(const struct pg_query *q, struct pg_op **ret)
{
    size_t per_param = sizeof(char *) + sizeof(Oid) + 2 * sizeof(int);
    size_t bytes = text_size(q->name) + text_size(q->sql);
    struct pg_op *op;
    char *at;

    for (int i = 0; i < q->n; i++)
        bytes += value_size(q, i);
    if (bytes > PG_QUERY_MAX)
        return ERR_TOO_BIG;
    op = malloc(sizeof *op + (size_t)q->n * per_param + bytes);
    if (op == NULL)
        return ERR_NOMEM;
    memset(op, 0, sizeof *op);
    op->q = *q;
    at = (char *)(op + 1);
    if (q->n > 0)
        copy_params(op, q, &at);
    op->q.sql = copy_text(&at, q->sql);
    op->q.name = copy_text(&at, q->name);
    *ret = op;
    return ERR_OK;
}

void pg_one_line(char *dst, size_t cap, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n < cap - 1; text++) {
        bool blank = *text == ' ' || *text == '\n' || *text == '\t';

        if (!blank)
            dst[n++] = *text;
        else if (n > 0 && dst[n - 1] != ' ')
            dst[n++] = ' ';
    }
    while (n > 0 && dst[n - 1] == ' ')
        n--;
    dst[n] = '\0';
}

void pg_op_blame(struct pg_op *op, enum err e, const char *why)
{
    if (op->fault.err != ERR_OK)
        return;
    op->fault.err = e;
    pg_one_line(op->fault.text, sizeof op->fault.text, why);
}

void pg_op_end(struct pg_op *op)
{
    if (op->fault.err == ERR_OK)
        op->cb(op->arg, ERR_OK, op->res, NULL);
    else
        op->cb(op->arg, op->fault.err, NULL, &op->fault);
    PQclear(op->res);
    free(op);
}

/* --- lists ----------------------------------------------------------------------------------- */

void pg_ops_push(struct pg_ops *l, struct pg_op *op)
{
    op->next = NULL;
    if (l->last == NULL)
        l->first = op;
    else
        l->last->next = op;
    l->last = op;
    l->n++;
}

void pg_ops_push_front(struct pg_ops *l, struct pg_op *op)
{
    op->next = l->first;
    l->first = op;
    if (l->last == NULL)
        l->last = op;
    l->n++;
}

struct pg_op *pg_ops_pop(struct pg_ops *l)
{
    struct pg_op *op = l->first;

    if (op == NULL)
        return NULL;
    l->first = op->next;
    if (l->first == NULL)
        l->last = NULL;
    l->n--;
    op->next = NULL;
    return op;
}

struct pg_ops pg_ops_take(struct pg_ops *l)
{
    struct pg_ops all = *l;

    *l = (struct pg_ops){0};
    return all;
}

struct pg_ops pg_ops_take_due(struct pg_ops *l, uint64_t now_ms)
{
    struct pg_ops all = pg_ops_take(l);
    struct pg_ops due = {0};
    struct pg_op *op;

    while ((op = pg_ops_pop(&all)) != NULL)
        pg_ops_push(op->deadline_ms <= now_ms ? &due : l, op);
    return due;
}

uint64_t pg_ops_earliest_ms(const struct pg_ops *l)
{
    uint64_t earliest = UINT64_MAX;

    for (const struct pg_op *op = l->first; op != NULL; op = op->next) {
        if (op->deadline_ms < earliest)
            earliest = op->deadline_ms;
    }
    return earliest;
}

bool pg_ops_any_due(const struct pg_ops *l, uint64_t now_ms)
{
    return pg_ops_earliest_ms(l) <= now_ms;
}
