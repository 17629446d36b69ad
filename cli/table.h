/* table: rows of cells, printed in aligned columns.
 *
 * Cells are added one after the other, row by row, and made safe for a terminal (text.h). Failure
 * sticks, as in a buf, and shows when printing. Widths count characters. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "shared/buf.h"

struct table_column {
    const char *head;
    bool right; /* for numbers */
};

struct table {
    const struct table_column *columns;
    size_t n_columns;
    struct buf text; /* all cells, one behind the other */
    struct buf ends; /* size_t: where each cell ends in it */
};

/* Borrows columns. */
void table_init(struct table *t, const struct table_column *columns, size_t n);
void table_done(struct table *t);
/* An empty cell is shown as "-". */
void table_add(struct table *t, struct slice cell);
void table_addf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Headings, bold if asked for, then the rows; a row that was not filled is left out. */
void table_print(const struct table *t, bool bold, struct buf *out);

#endif
