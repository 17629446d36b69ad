#include "shared/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/config_args.h"
#include "shared/config_file.h"
#include "shared/config_value.h"

enum {
    FILE_LIMIT = 256 * 1024,
    SECRET_LIMIT = 64 * 1024,
    SEEN_VALUE = 1,
    SEEN_FILE = 2,
};

struct load {
    const struct cfg_spec *spec;
    void *config;
    struct config_report report;
    bool *given; /* per key: there is a value, even if a wrong one */

    /* Of the place that is read now: */
    const char *prefix;  /* "MILLRACE_" or ""; NULL: names are written as flags */
    unsigned char *seen; /* per key: SEEN_ bits */
};

/* What the key is called in the place that is read now. */
static const char *name_here(const struct load *l, struct config_ref ref,
                             char dst[2 * CONFIG_FLAG_SIZE])
{
    if (l->prefix == NULL)
        config_name_flag(ref.key, ref.file, dst);
    else
        (void)snprintf(dst, (size_t)2 * CONFIG_FLAG_SIZE, "%s%s%s", l->prefix, ref.key->name,
                       ref.file ? "_FILE" : "");
    return dst;
}

static void complain_value(struct load *l, struct config_ref ref, const char *value,
                           const char *why)
{
    char name[2 * CONFIG_FLAG_SIZE], shown[CONFIG_SHOWN_SIZE];
    bool hide = (ref.key->flags & CFG_SECRET) != 0 && !ref.file;

    config_report_add(&l->report, "%s=%s: %s", name_here(l, ref, name),
                      config_report_show(hide ? "***" : value, shown), why);
}

/* --- one value ----------------------------------------------------------------------------- */

static void set_value(struct load *l, struct config_ref ref, const char *given,
                      const char *value)
{
    struct buf why = {0};

    if (config_value_set(ref.key, value, l->config, &why))
        l->given[ref.key - l->spec->keys] = ref.key->kind != CFG_TEXT || value[0] != '\0';
    else
        complain_value(l, ref, given, buf_cstr(&why));
    buf_done(&why);
}

/* Reads a whole file; its last byte is a NUL of ours. Gives NULL and says why if it cannot. */
static char *read_file(const char *path, size_t limit, size_t *ret_len, const char **ret_why)
{
    struct buf b = {.limit = limit};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && !buf_failed(&b)) {
        char *to = buf_reserve(&b, 4096);

        n = to == NULL ? 0 : read(fd, to, 4096);
        if (n > 0)
            buf_commit(&b, (size_t)n);
    }
    buf_add_char(&b, '\0');
    *ret_why = n < 0 ? strerrordesc_np(errno) : buf_failed(&b) ? "too long" : NULL;
    if (fd >= 0)
        (void)close(fd);
    if (*ret_why != NULL) {
        buf_done(&b);
        return NULL;
    }
    return buf_detach(&b, ret_len);
}

static void drop_newline(char *text)
{
    size_t len = strlen(text);

    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
}

static void set_from_file(struct load *l, struct config_ref ref, const char *path)
{
    const char *why = NULL;
    size_t len = 0;
    char *text = read_file(path, SECRET_LIMIT, &len, &why);

    if (text == NULL) {
        complain_value(l, ref, path, why);
        return;
    }
    if (strlen(text) + 1 != len) {
        complain_value(l, ref, path, "holds a NUL byte");
    } else {
        drop_newline(text);
        set_value(l, ref, path, text);
    }
    explicit_bzero(text, len);
    free(text);
}

static void take(struct load *l, struct config_ref ref, const char *value)
{
    size_t i = (size_t)(ref.key - l->spec->keys);
    char name[2 * CONFIG_FLAG_SIZE], other[2 * CONFIG_FLAG_SIZE];
    struct config_ref counterpart = {ref.key, !ref.file};

    if (ref.file && value[0] == '\0')
        return;
    l->given[i] = true;
    if (value[0] != '\0')
        l->seen[i] |= ref.file ? SEEN_FILE : SEEN_VALUE;
    if (l->seen[i] == (SEEN_FILE | SEEN_VALUE))
        config_report_add(&l->report, "%s and %s are both set, one must go",
                          name_here(l, ref, name), name_here(l, counterpart, other));
    else if (ref.file)
        set_from_file(l, ref, value);
    else
        set_value(l, ref, value, value);
}

static void enter(struct load *l, const char *prefix, const char *file)
{
    l->prefix = prefix;
    l->report.file = file;
    memset(l->seen, 0, l->spec->n_keys);
}

/* --- the four places ----------------------------------------------------------------------- */

static void take_defaults(struct load *l)
{
    for (size_t i = 0; i < l->spec->n_keys; i++) {
        const struct cfg_key *key = &l->spec->keys[i];
        struct buf why = {0};

        must(strlen(key->name) <= CFG_NAME_MAX);
        must(key->kind != CFG_CHOICE || key->min != NULL);
        if (key->def != NULL && !config_value_set(key, key->def, l->config, &why))
            config_report_add(&l->report, "default of %s: %s", key->name, buf_cstr(&why));
        l->given[i] = key->def != NULL && key->def[0] != '\0';
        buf_done(&why);
    }
}

static void on_file_set(void *arg, unsigned line, const char *name, const char *value)
{
    struct load *l = arg;
    struct config_ref ref = config_name_find(l->spec, name);
    const struct cfg_key *nearest;
    char shown[CONFIG_SHOWN_SIZE];

    l->report.line = line;
    if (ref.key != NULL) {
        take(l, ref, value);
        return;
    }
    nearest = config_name_nearest(l->spec, name);
    (void)config_report_show(name, shown);
    if (nearest != NULL)
        config_report_add(&l->report, "unknown key %s, did you mean %s?", shown, nearest->name);
    else
        config_report_add(&l->report, "unknown key %s", shown);
}

static void on_file_bad(void *arg, unsigned line, const char *why)
{
    struct load *l = arg;

    l->report.line = line;
    config_report_add(&l->report, "%s", why);
}

static void take_file(struct load *l, const char *path)
{
    struct config_file_reader reader = {l, on_file_set, on_file_bad};
    const char *why = NULL;
    size_t len = 0;
    char *text;

    if (path == NULL)
        return;
    text = read_file(path, FILE_LIMIT, &len, &why);
    if (text == NULL) {
        config_report_add(&l->report, "--config=%s: %s", path, why);
        return;
    }
    enter(l, "", path);
    config_file_parse(slice_of(text, len - 1), &reader);
    explicit_bzero(text, len);
    free(text);
}

static void take_environment(struct load *l)
{
    enter(l, "MILLRACE_", NULL);
    for (size_t i = 0; i < l->spec->n_keys; i++) {
        const struct cfg_key *key = &l->spec->keys[i];
        bool secret = (key->flags & CFG_SECRET) != 0;

        for (int file = 0; file <= (secret ? 1 : 0); file++) {
            char name[2 * CONFIG_FLAG_SIZE];
            struct config_ref ref = {key, file == 1};
            const char *value = secure_getenv(name_here(l, ref, name));

            if (value != NULL)
                take(l, ref, value);
        }
    }
}

static void take_args(struct load *l, const struct config_args *a)
{
    enter(l, NULL, NULL);
    for (size_t i = 0; i < a->n_settings; i++)
        take(l, a->settings[i].ref, a->settings[i].value);
}

/* --- the whole ----------------------------------------------------------------------------- */

static void require(struct load *l)
{
    enter(l, "", NULL);
    for (size_t i = 0; i < l->spec->n_keys; i++) {
        const struct cfg_key *key = &l->spec->keys[i];
        bool secret = (key->flags & CFG_SECRET) != 0;
        char flag[CONFIG_FLAG_SIZE];

        if ((key->flags & CFG_REQUIRED) == 0 || l->given[i])
            continue;
        config_name_flag(key, false, flag);
        config_report_add(
            &l->report,
            "%s is not set: give %s, or MILLRACE_%s in the environment, or %s in the "
            "--config file%s",
            key->name, flag, key->name, key->name,
            secret ? " (with _FILE behind the name: a file that holds it)" : "");
    }
}

/* What was asked for instead of a run. */
static bool answer(const struct cfg_spec *spec, const struct config_args *a, FILE *out)
{
    if (a->help)
        cfg_print_help(spec, out);
    else if (a->version)
        (void)fprintf(out, "%s %s\n", spec->program, MILLRACE_VERSION);
    else if (a->markdown)
        cfg_print_markdown(spec, out);
    return a->help || a->version || a->markdown;
}

static void take_all(struct load *l, const struct config_args *a)
{
    l->seen = calloc(l->spec->n_keys + 1, sizeof *l->seen);
    l->given = calloc(l->spec->n_keys + 1, sizeof *l->given);
    if (l->seen == NULL || l->given == NULL) {
        config_report_add(&l->report, "%s", err_text(ERR_NOMEM));
    } else {
        take_defaults(l);
        take_file(l, a->config_file);
        take_environment(l);
        take_args(l, a);
        require(l);
    }
    free(l->seen);
    free(l->given);
}

enum cfg_verdict cfg_load_to(FILE *out, FILE *errors, const struct cfg_spec *spec, int argc,
                             char **argv, void *config)
{
    struct load l = {
        .spec = spec, .config = config, .report = {.out = errors, .program = spec->program}};
    struct config_args args;
    enum cfg_verdict verdict = CFG_EXIT_OK;

    config_args_read(spec, argc, argv, &args, &l.report);
    if (!answer(spec, &args, out)) {
        take_all(&l, &args);
        verdict = l.report.n_errors > 0 ? CFG_EXIT_BAD : args.check ? CFG_EXIT_OK : CFG_GO;
        if (verdict == CFG_EXIT_BAD)
            (void)fprintf(errors, "%s: --help lists every setting\n", spec->program);
        else if (verdict == CFG_EXIT_OK)
            (void)fputs("configuration ok\n", out);
    }
    if (spec->ret_first_positional != NULL)
        *spec->ret_first_positional = args.first_positional;
    if (verdict != CFG_GO)
        cfg_done(spec, config);
    config_args_done(&args);
    (void)fflush(out);
    return verdict;
}

enum cfg_verdict cfg_load(const struct cfg_spec *spec, int argc, char **argv, void *config)
{
    return cfg_load_to(stdout, stderr, spec, argc, argv, config);
}

void cfg_done(const struct cfg_spec *spec, void *config)
{
    for (size_t i = 0; i < spec->n_keys; i++)
        config_value_clear(&spec->keys[i], config);
}
