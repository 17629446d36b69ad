#include "cli/arguments.h"

#include "shared/config_name.h"
#include "shared/config_report.h"
#include "shared/config_value.h"

struct reader {
    int argc, at; /* at: what is read next */
    char **argv;
    bool literal; /* behind "--" */
    struct arguments *to;
    struct config_report report;
};

/* --- flags ----------------------------------------------------------------------------------- */

/* The flags that every command has and that take no value. */
static bool *switch_of(struct arguments *a, const char *flag)
{
    const struct {
        const char *name;
        bool *is_on;
    } switches[] = {{"json", &a->json},
                    {"help", &a->help},
                    {"version", &a->version},
                    {"check", &a->check},
                    {"config-markdown", &a->check}};

    for (size_t i = 0; i < COUNT_OF(switches); i++) {
        if (strcmp(flag, switches[i].name) == 0)
            return switches[i].is_on;
    }
    return NULL;
}

static void complain_flag(struct reader *r, const char *flag)
{
    const struct command *c = r->to->command;
    const struct cfg_key *nearest = c == NULL ? NULL : config_name_nearest(&c->flags, flag);
    char shown[CONFIG_SHOWN_SIZE], name[CONFIG_FLAG_SIZE];

    (void)config_report_show(flag, shown);
    if (nearest == NULL)
        nearest = config_name_nearest(&options_spec, flag);
    if (nearest != NULL) {
        config_name_flag(nearest, false, name);
        config_report_add(&r->report, "unknown flag --%s, did you mean %s?", shown, name);
    } else if (c == NULL) {
        config_report_add(
            &r->report, "unknown flag --%s; a command's flags stand behind the command", shown);
    } else {
        config_report_add(&r->report, "unknown flag --%s", shown);
    }
}

/* The value of a flag that had no '=': the next argument. NULL: there is none. */
static char *value_behind(struct reader *r)
{
    char *next = r->at < r->argc ? r->argv[r->at] : NULL;

    if (next == NULL || strncmp(next, "--", 2) == 0)
        return NULL;
    r->at++;
    return next;
}

static bool begins_as_number(const struct reader *r)
{
    return r->at < r->argc && r->argv[r->at][0] >= '0' && r->argv[r->at][0] <= '9';
}

static void read_setting(struct reader *r, const char *flag, const char *value)
{
    struct arguments *a = r->to;

    a->settings[a->n_settings++] = r->argv[r->at - 1];
    if (value != NULL)
        return;
    a->settings[a->n_settings] = value_behind(r);
    if (a->settings[a->n_settings] == NULL)
        config_report_add(&r->report, "--%s: a value is missing", flag);
    else
        a->n_settings++;
}

static void read_own(struct reader *r, const struct cfg_key *key, const char *flag,
                     const char *value)
{
    bool optional = (key->flags & FLAG_OPTIONAL) != 0;
    char shown[CONFIG_SHOWN_SIZE];
    struct buf why = {0};

    if (value == NULL && optional && !begins_as_number(r))
        value = key->max;
    else if (value == NULL)
        value = value_behind(r);
    if (value == NULL)
        config_report_add(&r->report, "--%s: a value is missing", flag);
    else if (!config_value_set(key, value, &r->to->flags, &why))
        config_report_add(&r->report, "--%s=%s: %s", flag, config_report_show(value, shown),
                          buf_cstr(&why));
    buf_done(&why);
}

static bool is_setting(const char *flag)
{
    return strcmp(flag, "config") == 0 || config_name_find_flag(&options_spec, flag).key;
}

/* flag: without its dashes; value: what stood behind '=', or NULL. */
static void read_flag(struct reader *r, const char *flag, const char *value)
{
    struct arguments *a = r->to;
    bool *is_on = switch_of(a, flag);
    struct config_ref own = {NULL, false};

    if (a->command != NULL)
        own = config_name_find_flag(&a->command->flags, flag);
    if (is_on != NULL && value != NULL) {
        config_report_add(&r->report, "--%s takes no value", flag);
    } else if (is_on != NULL) {
        *is_on = true;
        if (is_on == &a->check)
            a->settings[a->n_settings++] = r->argv[r->at - 1];
    } else if (own.key != NULL) {
        read_own(r, own.key, flag, value);
    } else if (is_setting(flag)) {
        read_setting(r, flag, value);
    } else {
        complain_flag(r, flag);
    }
}

static void split_flag(struct reader *r, const char *text)
{
    size_t len = strcspn(text, "=");
    char *flag = strndup(text, len);

    if (flag == NULL)
        config_report_add(&r->report, "%s", err_text(ERR_NOMEM));
    else
        read_flag(r, flag, text[len] == '=' ? text + len + 1 : NULL);
    free(flag);
}

/* --- words ----------------------------------------------------------------------------------- */

static void take_defaults(struct reader *r)
{
    const struct cfg_spec *flags = &r->to->command->flags;

    for (size_t i = 0; i < flags->n_keys; i++) {
        const struct cfg_key *key = &flags->keys[i];
        struct buf why = {0};

        must(key->def == NULL || config_value_set(key, key->def, &r->to->flags, &why));
        buf_done(&why);
    }
}

static void read_command(struct reader *r, const char *name)
{
    const struct command *nearest = command_nearest(name);
    char shown[CONFIG_SHOWN_SIZE];

    r->to->command = command_find(name);
    if (r->to->command != NULL)
        take_defaults(r);
    else if (nearest != NULL)
        config_report_add(&r->report, "unknown command %s, did you mean %s?",
                          config_report_show(name, shown), nearest->name);
    else
        config_report_add(&r->report, "unknown command %s; millrace help lists them",
                          config_report_show(name, shown));
}

static void read_one(struct reader *r)
{
    char *text = r->argv[r->at++];
    char shown[CONFIG_SHOWN_SIZE];
    bool dashed = !r->literal && text[0] == '-' && text[1] != '\0';

    if (dashed && strcmp(text, "--") == 0)
        r->literal = true;
    else if (dashed && strcmp(text, "-h") == 0)
        r->to->help = true;
    else if (dashed && strncmp(text, "--", 2) == 0)
        split_flag(r, text + 2);
    else if (dashed)
        config_report_add(&r->report, "unknown flag %s", config_report_show(text, shown));
    else if (r->to->command == NULL)
        read_command(r, text);
    else
        r->to->words[r->to->n_words++] = text;
}

static bool has_right_count(const struct arguments *a)
{
    return a->n_words >= a->command->min_words && a->n_words <= a->command->max_words;
}

static void check_count(struct reader *r)
{
    const struct arguments *a = r->to;
    bool asks = a->help || a->version || a->check;

    if (r->report.n_errors > 0 || asks)
        return;
    if (a->command == NULL)
        config_report_add(&r->report, "a command is missing; millrace help lists them");
    else if (!has_right_count(a))
        config_report_add(&r->report, "too %s words; usage: millrace %s%s%s",
                          a->n_words < a->command->min_words ? "few" : "many", a->command->name,
                          a->command->usage[0] == '\0' ? "" : " ", a->command->usage);
}

enum cli_exit arguments_read(int argc, char **argv, FILE *err, struct arguments *ret)
{
    struct reader r = {.argc = argc, .at = 1, .argv = argv, .to = ret};

    r.report = (struct config_report){.out = err, .program = options_spec.program};
    *ret = (struct arguments){.command = NULL};
    ret->settings = calloc((size_t)argc + 2, sizeof *ret->settings);
    ret->words = calloc((size_t)argc + 1, sizeof *ret->words);
    if (ret->settings == NULL || ret->words == NULL) {
        config_report_add(&r.report, "%s", err_text(ERR_NOMEM));
        return CLI_USAGE;
    }
    ret->settings[ret->n_settings++] = argc > 0 ? argv[0] : NULL;
    while (r.at < argc && r.report.n_errors == 0)
        read_one(&r);
    check_count(&r);
    return r.report.n_errors > 0 ? CLI_USAGE : CLI_DONE;
}

void arguments_done(struct arguments *a)
{
    if (a->command != NULL) {
        for (size_t i = 0; i < a->command->flags.n_keys; i++)
            config_value_clear(&a->command->flags.keys[i], &a->flags);
    }
    free(a->settings);
    free(a->words);
    *a = (struct arguments){.command = NULL};
}
