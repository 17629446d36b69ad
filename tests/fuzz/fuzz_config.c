/* The configuration file: the syntax, every kind of value, and that a value which is written down
 * in quotes is read back as it was. */
#include <string.h>

#include "shared/buf.h"
#include "shared/config_file.h"
#include "shared/config_name.h"
#include "shared/config_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fields {
    char *text, *secret;
    uint64_t count, bytes, ms;
    bool yes;
    unsigned choice;
};

#define AT(field) offsetof(struct fields, field)

static const struct cfg_key keys[] = {
    {"TEXT", CFG_TEXT, AT(text), NULL, NULL, "100", 0, "text"},
    {"SECRET", CFG_TEXT, AT(secret), NULL, "2", NULL, CFG_SECRET, "secret"},
    {"COUNT", CFG_COUNT, AT(count), NULL, "1", "1000", 0, "count"},
    {"BYTES", CFG_BYTES, AT(bytes), NULL, "1k", "1g", 0, "bytes"},
    {"MS", CFG_MS, AT(ms), NULL, NULL, "1d", 0, "time"},
    {"YES", CFG_BOOL, AT(yes), NULL, NULL, NULL, 0, "yes"},
    {"CHOICE", CFG_CHOICE, AT(choice), NULL, "a|bc|def", NULL, 0, "choice"},
};
static const struct cfg_spec spec = {"fuzz", "Fuzz", keys, COUNT_OF(keys), NULL, NULL};

struct state {
    struct fields fields;
    unsigned last_line;
    bool again; /* this is what on_set() itself wrote */
    const char *want;
    unsigned n_again;
};

static void on_bad(void *arg, unsigned line, const char *why)
{
    struct state *s = arg;

    must(!s->again && line >= s->last_line && why[0] != '\0');
    s->last_line = line;
}

static void on_set(void *arg, unsigned line, const char *key, const char *value);

/* A value in double quotes, with what is special in them escaped, is that value. */
static void read_again(const char *value)
{
    struct state s = {.again = true, .want = value};
    struct buf text = {0};

    buf_add_str(&text, "K=\"");
    for (const char *p = value; *p != '\0'; p++) {
        if (strchr("\"\\`$", *p) != NULL)
            buf_add_char(&text, '\\');
        buf_add_char(&text, *p);
    }
    buf_add_str(&text, "\"\n");
    must(!buf_failed(&text));
    config_file_parse(buf_slice(&text), &(struct config_file_reader){&s, on_set, on_bad});
    must(s.n_again == 1);
    buf_done(&text);
}

static void check_fields(const struct fields *f)
{
    must(f->text == NULL || (f->text[0] != '\0' && strlen(f->text) <= 100));
    must(f->secret == NULL || strlen(f->secret) >= 2);
    must(f->count <= 1000 && f->bytes <= 1 << 30 && f->ms <= 86400000 && f->choice <= 2);
    must(f->bytes == 0 || f->bytes >= 1024);
}

static void on_set(void *arg, unsigned line, const char *key, const char *value)
{
    struct state *s = arg;
    struct config_ref ref = config_name_find(&spec, key);
    struct buf why = {0};

    if (s->again) {
        must(strcmp(key, "K") == 0 && strcmp(value, s->want) == 0);
        s->n_again++;
        return;
    }
    must(line >= s->last_line);
    s->last_line = line;
    read_again(value);
    (void)config_name_nearest(&spec, key);
    if (ref.key != NULL && !ref.file)
        must(config_value_set(ref.key, value, &s->fields, &why) == (why.len == 0));
    buf_done(&why);
    check_fields(&s->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state s = {0};

    config_file_parse(slice_of(data, size), &(struct config_file_reader){&s, on_set, on_bad});
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        config_value_clear(&keys[i], &s.fields);
    return 0;
}
