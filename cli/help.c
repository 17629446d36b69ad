#include "cli/help.h"

#include "shared/config_name.h"
#include "shared/config_value.h"
#include "shared/json.h"

enum { WIDTH = 96, INDENT = 2, GAP = 2 };

static void add_blanks(size_t n, struct buf *out)
{
    for (; n > 0; n--)
        buf_add_char(out, ' ');
}

/* Words from column `column` on, broken before WIDTH; following lines begin at `indent`. A newline
 * in the text ends a paragraph. */
static void add_wrapped(const char *text, size_t column, size_t indent, struct buf *out)
{
    bool first = true;

    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, " \n");

        if (!first && column + 1 + len > WIDTH) {
            buf_add_char(out, '\n');
            add_blanks(indent, out);
            column = indent;
        } else if (!first) {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add(out, p, len);
        column += len;
        first = p[len] == '\n';
        p += len;
        if (first) {
            buf_add_char(out, '\n');
            add_blanks(indent, out);
            column = indent;
        }
        p += *p != '\0';
    }
    buf_add_char(out, '\n');
}

static void add_row(const char *left, const char *text, size_t column, struct buf *out)
{
    add_blanks(INDENT, out);
    buf_add_str(out, left);
    add_blanks(column - INDENT - strlen(left), out);
    add_wrapped(text, column, column, out);
}

static void add_head(const char *head, bool bold, struct buf *out)
{
    buf_addf(out, bold ? "\n\033[1m%s\033[0m\n" : "\n%s\n", head);
}

/* --- flags and settings ---------------------------------------------------------------------- */

#define FLAG_SIZE (CONFIG_FLAG_SIZE + 16)

static void flag_text(const struct cfg_key *key, char dst[FLAG_SIZE])
{
    static const char *const values[] = {
        [CFG_TEXT] = "TEXT", [CFG_COUNT] = "N", [CFG_BYTES] = "SIZE",
        [CFG_MS] = "TIME",   [CFG_BOOL] = "",   [CFG_CHOICE] = "WORD",
    };
    char flag[CONFIG_FLAG_SIZE];
    bool optional = (key->flags & FLAG_OPTIONAL) != 0;

    config_name_flag(key, false, flag);
    (void)snprintf(dst, FLAG_SIZE, optional ? "%s [%s]" : "%s %s", flag, values[key->kind]);
}

static size_t widest_flag(const struct cfg_spec *spec, size_t widest)
{
    char flag[FLAG_SIZE];

    for (size_t i = 0; i < spec->n_keys; i++) {
        flag_text(&spec->keys[i], flag);
        widest = strlen(flag) > widest ? strlen(flag) : widest;
    }
    return widest;
}

static void add_flag(const struct cfg_key *key, size_t column, struct buf *out)
{
    AUTO(buf_done) struct buf text = {0};
    AUTO(buf_done) struct buf range = {0};
    char flag[FLAG_SIZE];

    config_value_range(key, &range);
    buf_add_str(&text, key->help);
    if (range.len > 0)
        buf_addf(&text, "; %s", buf_cstr(&range));
    if (key->def != NULL)
        buf_addf(&text, " (default %s)", key->def);
    flag_text(key, flag);
    add_row(flag, buf_cstr(&text), column, out);
}

static void add_flags(const struct cfg_spec *own, bool bold, struct buf *out)
{
    size_t column = INDENT + GAP + widest_flag(own, widest_flag(&options_spec, 0));

    add_head("Flags", bold, out);
    for (size_t i = 0; i < own->n_keys; i++)
        add_flag(&own->keys[i], column, out);
    add_row("--json", "one JSON document on standard output, and nothing else there", column,
            out);
    add_row("--help", "print this and end", column, out);
    add_head("Settings", bold, out);
    for (size_t i = 0; i < options_spec.n_keys; i++)
        add_flag(&options_spec.keys[i], column, out);
    add_row("--config FILE", "read settings from this file", column, out);
}

/* --- the two pages --------------------------------------------------------------------------- */

static void add_settings_note(struct buf *out)
{
    buf_add_char(out, '\n');
    add_wrapped(
        "Each setting --foo-bar may also stand as MILLRACE_FOO_BAR in the environment or "
        "as FOO_BAR=value in the --config file; a flag wins over the environment, that "
        "over the file. --redis-url-file and --pg-url-file name a file that holds it.",
        0, 0, out);
}

static void add_exits(bool bold, struct buf *out)
{
    static const struct {
        enum cli_exit code;
        const char *text;
    } exits[] = {
        {CLI_DONE, "done"},
        {CLI_FAILED, "the command failed: the job was refused or did not succeed"},
        {CLI_USAGE, "the command line is wrong"},
        {CLI_UNREACHABLE,
         "Redis or PostgreSQL cannot be reached, did not answer in time, or cannot serve now"},
        {CLI_NOT_FOUND, "there is no such job, queue or schedule"},
        {CLI_CONFIG, "a setting is wrong or missing"},
    };

    add_head("Exit status", bold, out);
    for (size_t i = 0; i < COUNT_OF(exits); i++) {
        char code[16];

        (void)snprintf(code, sizeof code, "%d", (int)exits[i].code);
        add_row(code, exits[i].text, INDENT + 4, out);
    }
}

static void print_program(bool bold, struct buf *out)
{
    const struct cfg_spec none = {.n_keys = 0};
    size_t widest = 0;

    buf_addf(out, "usage: millrace COMMAND [ARGUMENT...] [--FLAG VALUE...]\n\n%s.\n",
             options_spec.summary);
    add_head("Commands", bold, out);
    for (const struct command *const *c = command_table; *c != NULL; c++)
        widest = strlen((*c)->name) > widest ? strlen((*c)->name) : widest;
    for (const struct command *const *c = command_table; *c != NULL; c++)
        add_row((*c)->name, (*c)->summary, INDENT + GAP + widest, out);
    buf_add_str(out, "\nmillrace COMMAND --help tells more about one.\n");
    add_flags(&none, bold, out);
    add_settings_note(out);
    add_exits(bold, out);
}

static void print_command(const struct command *c, bool bold, struct buf *out)
{
    buf_addf(out, "usage: millrace %s%s%s [--FLAG VALUE...]\n\n%s.\n", c->name,
             c->usage[0] == '\0' ? "" : " ", c->usage, c->summary);
    if (c->about != NULL) {
        buf_add_char(out, '\n');
        add_wrapped(c->about, 0, 0, out);
    }
    add_flags(&c->flags, bold, out);
    add_settings_note(out);
    add_exits(bold, out);
}

void help_print(const struct command *command, bool bold, struct buf *out)
{
    if (command == NULL)
        print_program(bold, out);
    else
        print_command(command, bold, out);
}

static void add_command_json(const struct command *c, struct buf *out)
{
    buf_addf(out, "{\"name\":\"%s\",\"usage\":", c->name);
    json_quote(slice_str(c->usage), out);
    buf_add_str(out, ",\"summary\":");
    json_quote(slice_str(c->summary), out);
    buf_add_char(out, '}');
}

void help_json(const struct command *command, struct buf *out)
{
    const struct command *const one[] = {command, NULL};
    const struct command *const *all = command == NULL ? command_table : one;

    buf_add_str(out, "{\"commands\":[");
    for (const struct command *const *c = all; *c != NULL; c++) {
        buf_add_str(out, c == all ? "" : ",");
        add_command_json(*c, out);
    }
    buf_add_str(out, "]}\n");
}
