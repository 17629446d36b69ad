#include "shared/config_args.h"

#include <string.h>

#include "shared/config_value.h"

struct reader {
    const struct cfg_spec *spec;
    int argc, at; /* at: what is read next */
    char **argv;
    struct config_args *to;
    struct config_report *report;
};

static void complain_flag(struct reader *r, const char *flag)
{
    const struct cfg_key *nearest = config_name_nearest(r->spec, flag);
    char shown[CONFIG_SHOWN_SIZE], name[CONFIG_FLAG_SIZE];

    (void)config_report_show(flag, shown);
    if (nearest == NULL) {
        config_report_add(r->report, "unknown flag --%s", shown);
        return;
    }
    config_name_flag(nearest, false, name);
    config_report_add(r->report, "unknown flag --%s, did you mean %s?", shown, name);
}

static bool is_bool_word(const char *text)
{
    const struct cfg_key key = {.kind = CFG_BOOL};
    struct buf why = {0};
    bool value, good = config_value_set(&key, text, &value, &why);

    buf_done(&why);
    return good;
}

/* The value of a flag that had no '=': the next argument. NULL: there is none. */
static const char *value_behind(struct reader *r, bool is_bool)
{
    const char *next = r->at < r->argc ? r->argv[r->at] : NULL;

    if (is_bool && (next == NULL || !is_bool_word(next)))
        return "true";
    if (next == NULL || strncmp(next, "--", 2) == 0)
        return NULL;
    r->at++;
    return next;
}

/* The flags that every program has and that take no value. */
static bool *special_of(struct reader *r, const char *flag)
{
    const struct {
        const char *name;
        bool *is_on;
    } specials[] = {{"check", &r->to->check},
                    {"help", &r->to->help},
                    {"version", &r->to->version},
                    {"config-markdown", &r->to->markdown}};

    for (size_t i = 0; i < COUNT_OF(specials); i++) {
        if (strcmp(flag, specials[i].name) == 0)
            return specials[i].is_on;
    }
    return NULL;
}

/* flag: without its dashes; value: what stood behind '=', or NULL. */
static void read_flag(struct reader *r, const char *flag, const char *value)
{
    bool is_config = strcmp(flag, "config") == 0;
    bool *special = special_of(r, flag);
    struct config_ref ref = config_name_find_flag(r->spec, flag);

    if (special != NULL && value == NULL) {
        *special = true;
    } else if (special != NULL) {
        config_report_add(r->report, "--%s takes no value", flag);
    } else if (ref.key == NULL && !is_config) {
        complain_flag(r, flag);
    } else {
        bool is_bool = !is_config && ref.key->kind == CFG_BOOL && !ref.file;

        value = value == NULL ? value_behind(r, is_bool) : value;
        if (value == NULL)
            config_report_add(r->report, "--%s: a value is missing", flag);
        else if (is_config)
            r->to->config_file = value;
        else
            r->to->settings[r->to->n_settings++] = (struct config_setting){ref, value};
    }
}

static void split_flag(struct reader *r, const char *text)
{
    size_t len = strcspn(text, "=");
    char *flag = strndup(text, len);

    if (flag == NULL)
        config_report_add(r->report, "%s", err_text(ERR_NOMEM));
    else
        read_flag(r, flag, text[len] == '=' ? text + len + 1 : NULL);
    free(flag);
}

/* Stops behind the flags. */
static void read_flags(struct reader *r)
{
    char shown[CONFIG_SHOWN_SIZE];

    while (r->at < r->argc) {
        const char *text = r->argv[r->at];
        bool dashed = text[0] == '-' && text[1] != '\0';

        if (!dashed && r->spec->positional != NULL)
            return;
        r->at++;
        if (strcmp(text, "--") == 0)
            return;
        if (strcmp(text, "-h") == 0)
            r->to->help = true;
        else if (strncmp(text, "--", 2) == 0)
            split_flag(r, text + 2);
        else
            config_report_add(r->report, "%s %s",
                              dashed ? "unknown flag" : "unexpected argument",
                              config_report_show(text, shown));
    }
}

void config_args_read(const struct cfg_spec *spec, int argc, char **argv,
                      struct config_args *ret, struct config_report *report)
{
    struct reader r = {spec, argc, 1, argv, ret, report};

    *ret = (struct config_args){.first_positional = argc};
    ret->settings = calloc((size_t)argc + 1, sizeof *ret->settings);
    if (ret->settings == NULL) {
        config_report_add(report, "%s", err_text(ERR_NOMEM));
        return;
    }
    read_flags(&r);
    ret->first_positional = r.at;
    if (spec->positional == NULL && r.at < argc)
        config_report_add(report, "unexpected arguments behind --");
}

void config_args_done(struct config_args *a)
{
    free(a->settings);
    *a = (struct config_args){0};
}
