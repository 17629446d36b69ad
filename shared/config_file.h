/* config_file: the syntax of a configuration file, which is that of systemd's EnvironmentFile=.
 *
 *     # comment                 (or ; comment)
 *     KEY=value with blanks     blanks around it are dropped, a backslash takes the next
 *                               character as it is, and at the end of a line joins the next one
 *     KEY="quoted" KEY='also'   in double quotes a backslash works before " \ ` $ and newline
 */
#ifndef SHARED_CONFIG_FILE_H
#define SHARED_CONFIG_FILE_H

#include "shared/slice.h"

struct config_file_reader {
    void *arg;
    /* key and value are borrowed for the call. */
    void (*on_set)(void *arg, unsigned line, const char *key, const char *value);
    void (*on_bad)(void *arg, unsigned line, const char *why);
};

/* Goes through the text in order; what is wrong in one line does not hide the next ones. */
void config_file_parse(struct slice text, const struct config_file_reader *to);

#endif
