#include "cli/table.h"

#include "cli/text.h"

#define GAP 2 /* blanks between columns */

void table_init(struct table *t, const struct table_column *columns, size_t n)
{
    *t = (struct table){.columns = columns, .n_columns = n};
}

void table_done(struct table *t)
{
    buf_done(&t->text);
    buf_done(&t->ends);
}

void table_add(struct table *t, struct slice cell)
{
    size_t end;

    text_safe(cell.len == 0 ? SLICE_LIT("-") : cell, &t->text);
    end = t->text.len;
    buf_add(&t->ends, &end, sizeof end);
}

void table_addf(struct table *t, const char *fmt, ...)
{
    struct buf cell = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&cell, fmt, ap);
    va_end(ap);
    t->text.failed = t->text.failed || buf_failed(&cell);
    table_add(t, buf_slice(&cell));
    buf_done(&cell);
}

/* --- printing -------------------------------------------------------------------------------- */

static size_t end_of(const struct table *t, size_t i)
{
    size_t end;

    memcpy(&end, t->ends.data + i * sizeof end, sizeof end);
    return end;
}

static struct slice cell_at(const struct table *t, size_t row, size_t column)
{
    size_t i = row * t->n_columns + column;
    size_t begin = i == 0 ? 0 : end_of(t, i - 1);

    return slice_of(t->text.data + begin, end_of(t, i) - begin);
}

static size_t count_rows(const struct table *t)
{
    return t->ends.len / sizeof(size_t) / t->n_columns;
}

static size_t column_width(const struct table *t, size_t column)
{
    size_t widest = text_width(slice_str(t->columns[column].head));

    for (size_t row = 0; row < count_rows(t); row++) {
        size_t width = text_width(cell_at(t, row, column));

        widest = width > widest ? width : widest;
    }
    return widest;
}

static void add_blanks(size_t n, struct buf *out)
{
    for (; n > 0; n--)
        buf_add_char(out, ' ');
}

/* Nothing stands behind the last cell of a line, not even blanks. */
static void print_cell(const struct table *t, size_t column, size_t width, struct slice cell,
                       struct buf *out)
{
    size_t blanks = width - text_width(cell);

    add_blanks(column > 0 ? GAP : 0, out);
    if (t->columns[column].right)
        add_blanks(blanks, out);
    buf_add_slice(out, cell);
    if (!t->columns[column].right && column + 1 < t->n_columns)
        add_blanks(blanks, out);
}

static void print_heads(const struct table *t, const size_t *widths, bool bold, struct buf *out)
{
    buf_add_str(out, bold ? "\033[1m" : "");
    for (size_t i = 0; i < t->n_columns; i++)
        print_cell(t, i, widths[i], slice_str(t->columns[i].head), out);
    buf_add_str(out, bold ? "\033[0m\n" : "\n");
}

void table_print(const struct table *t, bool bold, struct buf *out)
{
    size_t *widths = calloc(t->n_columns, sizeof *widths);

    if (widths == NULL || buf_failed(&t->text) || buf_failed(&t->ends)) {
        out->failed = true;
        free(widths);
        return;
    }
    for (size_t i = 0; i < t->n_columns; i++)
        widths[i] = column_width(t, i);
    print_heads(t, widths, bold, out);
    for (size_t row = 0; row < count_rows(t); row++) {
        for (size_t i = 0; i < t->n_columns; i++)
            print_cell(t, i, widths[i], cell_at(t, row, i), out);
        buf_add_char(out, '\n');
    }
    free(widths);
}
