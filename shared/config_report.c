#include "shared/config_report.h"

#include <stdarg.h>
#include <string.h>

void config_report_add(struct config_report *r, const char *fmt, ...)
{
    va_list ap;

    r->n_errors++;
    (void)fprintf(r->out, "%s: ", r->program);
    if (r->file != NULL)
        (void)fprintf(r->out, "%s:%u: ", r->file, r->line);
    va_start(ap, fmt);
    (void)vfprintf(r->out, fmt, ap);
    va_end(ap);
    (void)fputc('\n', r->out);
}

const char *config_report_show(const char *text, char dst[CONFIG_SHOWN_SIZE])
{
    const char *rest = strlen(text) < CONFIG_SHOWN_SIZE ? "" : "...";

    (void)snprintf(dst, CONFIG_SHOWN_SIZE, "%.*s%s", CONFIG_SHOWN_SIZE - 1 - (int)strlen(rest),
                   text, rest);
    for (char *p = dst; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    return dst;
}
