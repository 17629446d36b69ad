/* config_report: what is wrong with a configuration, one line each, counted. */
#ifndef SHARED_CONFIG_REPORT_H
#define SHARED_CONFIG_REPORT_H

#include "shared/base.h"

struct config_report {
    FILE *out;
    const char *program;
    const char *file; /* that is read now, and where in it; NULL: none */
    unsigned line;
    unsigned n_errors;
};

void config_report_add(struct config_report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define CONFIG_SHOWN_SIZE 88
/* A value or name from outside, fit for a terminal: no control characters, and not endless.
 * Gives dst. */
const char *config_report_show(const char *text, char dst[CONFIG_SHOWN_SIZE]);

#endif
