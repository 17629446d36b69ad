#include "shared/pg.h"

/* What array_recv() reads: the number of dimensions, whether there are NULLs, the element's type,
 * then for each dimension its size and lower bound; then the elements. All big-endian. */
#define AT_HAS_NULL 4U
#define AT_SIZE     12U
#define HEADER_SIZE 20U

#define NULL_LENGTH 0xffffffffU

/* PostgreSQL counts microseconds from 2000-01-01. */
#define EPOCH_2000_MS 946684800000LL
#define YEAR_9999_MS  253402300799999ULL /* later is taken for this: no caller means it */

static void put_be32(char dst[4], uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        dst[i] = (char)(v >> (24 - 8 * i));
}

static void add_be32(struct buf *b, uint32_t v)
{
    char bytes[4];

    put_be32(bytes, v);
    buf_add(b, bytes, sizeof bytes);
}

static void add_be64(struct buf *b, uint64_t v)
{
    add_be32(b, (uint32_t)(v >> 32));
    add_be32(b, (uint32_t)v);
}

void pg_array_init(struct pg_array *a, Oid element)
{
    buf_init(&a->bytes, PG_QUERY_MAX);
    a->n = 0;
    add_be32(&a->bytes, 1); /* dimensions */
    add_be32(&a->bytes, 0); /* has no NULL yet */
    add_be32(&a->bytes, element);
    add_be32(&a->bytes, 0); /* size: pg_array_end() */
    add_be32(&a->bytes, 1); /* lower bound */
}

void pg_array_null(struct pg_array *a)
{
    add_be32(&a->bytes, NULL_LENGTH);
    a->n++;
    if (!buf_failed(&a->bytes))
        put_be32(a->bytes.data + AT_HAS_NULL, 1);
}

/* Begins an element of len bytes. */
static void add_length(struct pg_array *a, size_t len)
{
    if (len > PG_QUERY_MAX)
        a->bytes.failed = true;
    add_be32(&a->bytes, (uint32_t)len);
    a->n++;
}

void pg_array_bytes(struct pg_array *a, const void *p, size_t len)
{
    add_length(a, len);
    buf_add(&a->bytes, p, len);
}

void pg_array_jsonb(struct pg_array *a, const void *p, size_t len)
{
    add_length(a, len + 1);
    buf_add_char(&a->bytes, '\1');
    buf_add(&a->bytes, p, len);
}

void pg_array_i16(struct pg_array *a, int16_t v)
{
    char bytes[2] = {(char)((uint16_t)v >> 8), (char)v};

    add_length(a, sizeof bytes);
    buf_add(&a->bytes, bytes, sizeof bytes);
}

void pg_array_i32(struct pg_array *a, int32_t v)
{
    add_length(a, 4);
    add_be32(&a->bytes, (uint32_t)v);
}

void pg_array_i64(struct pg_array *a, int64_t v)
{
    add_length(a, 8);
    add_be64(&a->bytes, (uint64_t)v);
}

void pg_array_wall_ms(struct pg_array *a, uint64_t unix_ms)
{
    if (unix_ms == 0)
        pg_array_null(a);
    else
        pg_array_i64(
            a, ((int64_t)(unix_ms < YEAR_9999_MS ? unix_ms : YEAR_9999_MS) - EPOCH_2000_MS) *
                   1000);
}

struct slice pg_array_end(struct pg_array *a)
{
    if (buf_failed(&a->bytes))
        return SLICE_LIT("");
    must(a->bytes.len >= HEADER_SIZE);
    put_be32(a->bytes.data + AT_SIZE, a->n);
    return buf_slice(&a->bytes);
}

void pg_array_done(struct pg_array *a)
{
    buf_done(&a->bytes);
    a->n = 0;
}
