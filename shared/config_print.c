#include <string.h>

#include "shared/config.h"
#include "shared/config_name.h"
#include "shared/config_value.h"

enum { WIDTH = 100, FLAG_COLUMN_MAX = 36, GAP = 2 };

static const char *const metavars[] = {
    [CFG_TEXT] = "TEXT", [CFG_COUNT] = "N",   [CFG_BYTES] = "SIZE",
    [CFG_MS] = "TIME",   [CFG_BOOL] = "BOOL", [CFG_CHOICE] = "WORD",
};

static bool is_secret(const struct cfg_key *key)
{
    return (key->flags & CFG_SECRET) != 0;
}

/* --- help ---------------------------------------------------------------------------------- */

/* Words from column `column` on, broken before WIDTH; following lines begin at `indent`. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
    bool first = true;

    for (const char *p = text + strspn(text, " "); *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");

        if (!first && column + 1 + len > WIDTH) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fwrite(p, 1, len, out);
        column += len;
        first = false;
        p += len;
    }
    (void)fputc('\n', out);
}

static void print_row(FILE *out, const char *flag, const char *text, size_t column)
{
    size_t used = GAP + strlen(flag);

    (void)fprintf(out, "%*s%s", GAP, "", flag);
    if (used + GAP > column) {
        (void)fputc('\n', out);
        used = 0;
    }
    (void)fprintf(out, "%*s", (int)(column - used), "");
    print_wrapped(out, text, column, column);
}

static void flag_with_value(const struct cfg_key *key, char *dst, size_t size)
{
    char flag[CONFIG_FLAG_SIZE];

    config_name_flag(key, false, flag);
    (void)snprintf(dst, size, "%s %s", flag, metavars[key->kind]);
}

static size_t text_column(const struct cfg_spec *spec)
{
    char flag[CONFIG_FLAG_SIZE + 8];
    size_t widest = strlen("--config FILE");

    for (size_t i = 0; i < spec->n_keys; i++) {
        flag_with_value(&spec->keys[i], flag, sizeof flag);
        if (strlen(flag) > widest && strlen(flag) <= FLAG_COLUMN_MAX)
            widest = strlen(flag);
    }
    return GAP + widest + GAP;
}

/* " (required; default 4; 1 to 256)" */
static void add_facts(const struct cfg_key *key, struct buf *out)
{
    const char *sep = " (";

    if ((key->flags & CFG_REQUIRED) != 0) {
        buf_addf(out, "%srequired", sep);
        sep = "; ";
    }
    if (is_secret(key)) {
        buf_addf(out, "%ssecret", sep);
        sep = "; ";
    } else if (key->def != NULL) {
        buf_addf(out, "%sdefault %s", sep, key->def);
        sep = "; ";
    }
    if (key->min != NULL || key->max != NULL) {
        buf_add_str(out, sep);
        config_value_range(key, out);
        sep = "; ";
    }
    if (sep[0] == ';')
        buf_add_char(out, ')');
}

static void print_keys(const struct cfg_spec *spec, FILE *out, size_t column)
{
    char flag[CONFIG_FLAG_SIZE + 8];
    struct buf text = {0};

    for (size_t i = 0; i < spec->n_keys; i++) {
        buf_clear(&text);
        buf_add_str(&text, spec->keys[i].help);
        add_facts(&spec->keys[i], &text);
        flag_with_value(&spec->keys[i], flag, sizeof flag);
        print_row(out, flag, buf_cstr(&text), column);
    }
    buf_done(&text);
}

static void print_usage(const struct cfg_spec *spec, FILE *out)
{
    (void)fprintf(out, "%s: %s\n\nusage: %s [--KEY VALUE ...]", spec->program, spec->summary,
                  spec->program);
    for (size_t i = 0; spec->positional != NULL && spec->positional[i] != NULL; i++)
        (void)fprintf(out, " %s", spec->positional[i]);
    (void)fputs("\n\n", out);
}

void cfg_print_help(const struct cfg_spec *spec, FILE *out)
{
    static const char *const rows[][2] = {
        {"--config FILE", "read settings from this file"},
        {"--check", "check the settings and exit"},
        {"--help", "print this and exit"},
        {"--version", "print the version and exit"},
    };
    size_t column = text_column(spec);

    print_usage(spec, out);
    print_keys(spec, out, column);
    (void)fputc('\n', out);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        print_row(out, rows[i][0], rows[i][1], column);
    (void)fputc('\n', out);
    print_wrapped(
        out,
        "Each flag --foo-bar VALUE may also be set as MILLRACE_FOO_BAR=VALUE in the "
        "environment or as FOO_BAR=VALUE in the --config file. A flag wins over the "
        "environment, the environment over the file. A secret is better put into a file "
        "that --foo-bar-file, MILLRACE_FOO_BAR_FILE or FOO_BAR_FILE names.",
        0, 0);
    (void)fputs(
        "SIZE: bytes, or with k, m, g. TIME: milliseconds, or with ms, s, m, h, d. BOOL: "
        "true or false.\n",
        out);
}

/* --- Markdown ------------------------------------------------------------------------------ */

static void print_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void print_default(FILE *out, const struct cfg_key *key)
{
    if ((key->flags & CFG_REQUIRED) != 0)
        (void)fputs("required", out);
    else if (key->def != NULL && !is_secret(key)) {
        (void)fputc('`', out);
        print_cell(out, key->def);
        (void)fputc('`', out);
    }
}

static void print_markdown_row(const struct cfg_key *key, struct buf *range, FILE *out)
{
    char flag[CONFIG_FLAG_SIZE];

    config_name_flag(key, false, flag);
    (void)fprintf(out, "| `MILLRACE_%s` / `%s` | ", key->name, flag);
    print_default(out, key);
    (void)fputs(" | ", out);
    buf_clear(range);
    config_value_range(key, range);
    print_cell(out, buf_cstr(range));
    (void)fputs(" | ", out);
    print_cell(out, key->help);
    if (is_secret(key))
        (void)fprintf(out, ". Secret: better `MILLRACE_%s_FILE` / `%s-file`", key->name, flag);
    (void)fputs(" |\n", out);
}

void cfg_print_markdown(const struct cfg_spec *spec, FILE *out)
{
    struct buf range = {0};

    (void)fprintf(out, "## %s\n\n%s.\n\n", spec->program, spec->summary);
    (void)fputs("| key | default | range | meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < spec->n_keys; i++)
        print_markdown_row(&spec->keys[i], &range, out);
    buf_done(&range);
}

/* --- the start-up line --------------------------------------------------------------------- */

static struct log_field field_of(const struct cfg_key *key, const void *config)
{
    const char *at = (const char *)config + key->offset;
    const char *text = NULL;
    unsigned choice = 0;
    uint64_t number = 0;

    switch (key->kind) {
    case CFG_TEXT:
        memcpy(&text, at, sizeof text);
        break;
    case CFG_COUNT:
    case CFG_BYTES:
    case CFG_MS:
        memcpy(&number, at, sizeof number);
        return (struct log_field)LOG_U(key->name, number);
    case CFG_BOOL:
        return (struct log_field)LOG_B(key->name, *at != 0);
    case CFG_CHOICE:
        memcpy(&choice, at, sizeof choice);
        return (struct log_field)LOG_SL(key->name, config_value_choice(key, choice));
    }
    return (struct log_field)LOG_S(key->name, text);
}

void cfg_log(const struct cfg_spec *spec, const void *config, const struct log_ctx *ctx)
{
    struct log_field *fields = calloc(spec->n_keys + 1, sizeof *fields);
    size_t n = 0;

    if (fields == NULL) {
        log_info(ctx, "start", LOG_S("version", MILLRACE_VERSION));
        return;
    }
    fields[n++] = (struct log_field)LOG_S("version", MILLRACE_VERSION);
    for (size_t i = 0; i < spec->n_keys; i++) {
        const struct cfg_key *key = &spec->keys[i];

        if (config_value_is_default(key, config))
            continue;
        if (is_secret(key))
            fields[n++] = (struct log_field)LOG_S(key->name, "***");
        else
            fields[n++] = field_of(key, config);
    }
    log_write(LOG_INFO, ctx, "start", fields, n);
    free(fields);
}
