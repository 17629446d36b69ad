/* config_args: the command line, taken apart before any value is looked at. */
#ifndef SHARED_CONFIG_ARGS_H
#define SHARED_CONFIG_ARGS_H

#include "shared/config_name.h"
#include "shared/config_report.h"

struct config_setting {
    struct config_ref ref;
    const char *value; /* part of argv */
};

struct config_args {
    struct config_setting *settings; /* in order */
    size_t n_settings;
    const char *config_file; /* part of argv; NULL: none */
    bool check, help, version, markdown;
    int first_positional;
};

/* Fills *ret, which config_args_done() frees. What is wrong goes to the report. */
void config_args_read(const struct cfg_spec *spec, int argc, char **argv,
                      struct config_args *ret, struct config_report *report);
void config_args_done(struct config_args *a);

#endif
