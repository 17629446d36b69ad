#include "shared/config_value.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

enum { KIB = 1024, MIB = 1048576, GIB = 1073741824 };
enum { SECOND_MS = 1000, MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 86400000 };

static const struct unit units_none[] = {{"", 1}, {NULL, 0}};
static const struct unit units_bytes[] = {
    {"", 1}, {"k", KIB}, {"m", MIB}, {"g", GIB}, {NULL, 0}};
static const struct unit units_ms[] = {{"", 1},          {"ms", 1},      {"s", SECOND_MS},
                                       {"m", MINUTE_MS}, {"h", HOUR_MS}, {"d", DAY_MS},
                                       {NULL, 0}};

/* How each kind of number is written. */
static const struct number_kind {
    const struct unit *units;
    const char *what;
} number_kinds[] = {
    [CFG_COUNT] = {units_none, "not a whole number"},
    [CFG_BYTES] = {units_bytes, "not a size such as 512, 64k, 16m or 1g"},
    [CFG_MS] = {units_ms, "not a time such as 250, 250ms, 30s, 5m, 1h or 1d"},
};

static const struct word {
    const char *text;
    bool value;
} bool_words[] = {{"true", true},   {"1", true},  {"yes", true}, {"on", true},
                  {"false", false}, {"0", false}, {"no", false}, {"off", false}};

static void *field_of(const struct cfg_key *key, void *config)
{
    return (char *)config + key->offset;
}

static const void *field_of_const(const struct cfg_key *key, const void *config)
{
    return (const char *)config + key->offset;
}

/* --- numbers ------------------------------------------------------------------------------- */

enum number { NUMBER_OK, NUMBER_BAD, NUMBER_HUGE };

static enum number parse_number(const struct cfg_key *key, const char *text, uint64_t *ret)
{
    const struct unit *u = number_kinds[key->kind].units;
    unsigned long long n;
    char *end;

    if (text[0] < '0' || text[0] > '9') /* strtoull would take blanks and signs */
        return NUMBER_BAD;
    errno = 0;
    n = strtoull(text, &end, 10);
    while (u->suffix != NULL && strcasecmp(u->suffix, end) != 0)
        u++;
    if (u->suffix == NULL)
        return NUMBER_BAD;
    if (errno == ERANGE || n > UINT64_MAX / u->factor)
        return NUMBER_HUGE;
    *ret = n * u->factor;
    return NUMBER_OK;
}

/* A bound or a default of the table: the table is ours, so it parses. */
static uint64_t table_number(const struct cfg_key *key, const char *text)
{
    uint64_t n = 0;

    must(parse_number(key, text, &n) == NUMBER_OK);
    return n;
}

static bool in_range(const struct cfg_key *key, uint64_t n)
{
    return (key->min == NULL || n >= table_number(key, key->min)) &&
           (key->max == NULL || n <= table_number(key, key->max));
}

static bool out_of_range(const struct cfg_key *key, struct buf *why)
{
    buf_add_str(why, key->kind == CFG_TEXT ? "wrong length, " : "out of range");
    if (key->kind != CFG_TEXT && (key->min != NULL || key->max != NULL))
        buf_add_str(why, ", ");
    config_value_range(key, why);
    return false;
}

static bool set_number(const struct cfg_key *key, const char *text, void *field,
                       struct buf *why)
{
    uint64_t n = 0;
    enum number got = parse_number(key, text, &n);

    if (got == NUMBER_BAD) {
        buf_add_str(why, number_kinds[key->kind].what);
        return false;
    }
    if (got == NUMBER_HUGE || !in_range(key, n))
        return out_of_range(key, why);
    memcpy(field, &n, sizeof n);
    return true;
}

/* --- the other kinds ----------------------------------------------------------------------- */

static bool set_bool(const char *text, void *field, struct buf *why)
{
    for (size_t i = 0; i < COUNT_OF(bool_words); i++) {
        if (strcasecmp(bool_words[i].text, text) == 0) {
            memcpy(field, &bool_words[i].value, sizeof bool_words[i].value);
            return true;
        }
    }
    buf_add_str(why, "not true or false");
    return false;
}

struct slice config_value_choice(const struct cfg_key *key, size_t i)
{
    const char *p = key->min;

    for (; i > 0 && *p != '\0'; i--) {
        p += strcspn(p, "|");
        p += *p == '|';
    }
    return slice_of(p, strcspn(p, "|"));
}

static bool set_choice(const struct cfg_key *key, const char *text, void *field,
                       struct buf *why)
{
    struct slice choice;

    for (unsigned i = 0; (choice = config_value_choice(key, i)).len > 0; i++) {
        if (slice_is(choice, text)) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    buf_add_str(why, "must be ");
    config_value_range(key, why);
    return false;
}

/* The bounds of a text are those of its length. */
static bool length_fits(const struct cfg_key *key, size_t len)
{
    struct cfg_key count = {.kind = CFG_COUNT, .min = key->min, .max = key->max};

    return in_range(&count, len);
}

static bool set_text(const struct cfg_key *key, const char *text, void *config, struct buf *why)
{
    char *copy = NULL;

    if (text[0] != '\0') {
        if (!length_fits(key, strlen(text)))
            return out_of_range(key, why);
        copy = strdup(text);
        if (copy == NULL) {
            buf_add_str(why, err_text(ERR_NOMEM));
            return false;
        }
    }
    config_value_clear(key, config);
    memcpy(field_of(key, config), &copy, sizeof copy);
    return true;
}

/* --- the interface ------------------------------------------------------------------------- */

bool config_value_set(const struct cfg_key *key, const char *text, void *config,
                      struct buf *why)
{
    switch (key->kind) {
    case CFG_TEXT:
        return set_text(key, text, config, why);
    case CFG_COUNT:
    case CFG_BYTES:
    case CFG_MS:
        return set_number(key, text, field_of(key, config), why);
    case CFG_BOOL:
        return set_bool(text, field_of(key, config), why);
    case CFG_CHOICE:
        return set_choice(key, text, field_of(key, config), why);
    }
    must_failed("a known kind", __FILE__, __LINE__);
}

void config_value_clear(const struct cfg_key *key, void *config)
{
    char *text = NULL;

    if (key->kind != CFG_TEXT)
        return;
    memcpy(&text, field_of(key, config), sizeof text);
    if (text != NULL && (key->flags & CFG_SECRET) != 0)
        explicit_bzero(text, strlen(text));
    free(text);
    memset(field_of(key, config), 0, sizeof text);
}

static bool text_is_default(const struct cfg_key *key, const char *text)
{
    const char *def = key->def == NULL ? "" : key->def;

    return strcmp(text == NULL ? "" : text, def) == 0;
}

bool config_value_is_default(const struct cfg_key *key, const void *config)
{
    const void *field = field_of_const(key, config);
    union {
        uint64_t number;
        unsigned choice;
        bool yes;
        char *text;
    } now = {0}, def = {0};
    static const size_t sizes[] = {
        [CFG_TEXT] = sizeof now.text,    [CFG_COUNT] = sizeof now.number,
        [CFG_BYTES] = sizeof now.number, [CFG_MS] = sizeof now.number,
        [CFG_BOOL] = sizeof now.yes,     [CFG_CHOICE] = sizeof now.choice,
    };
    struct cfg_key at_zero = *key;

    memcpy(&now, field, sizes[key->kind]);
    if (key->kind == CFG_TEXT)
        return text_is_default(key, now.text);
    at_zero.offset = 0;
    if (key->def != NULL)
        must(config_value_set(&at_zero, key->def, &def, NULL));
    return memcmp(&now, &def, sizes[key->kind]) == 0;
}

static void add_choices(const struct cfg_key *key, struct buf *out)
{
    struct slice choice;

    buf_add_str(out, "one of ");
    for (size_t i = 0; (choice = config_value_choice(key, i)).len > 0; i++) {
        if (i > 0)
            buf_add_str(out, ", ");
        buf_add_slice(out, choice);
    }
}

void config_value_range(const struct cfg_key *key, struct buf *out)
{
    if (key->kind == CFG_CHOICE) {
        add_choices(key, out);
        return;
    }
    if (key->min != NULL && key->max != NULL)
        buf_addf(out, "%s to %s", key->min, key->max);
    else if (key->min != NULL)
        buf_addf(out, "at least %s", key->min);
    else if (key->max != NULL)
        buf_addf(out, "at most %s", key->max);
    if (key->kind == CFG_TEXT && (key->min != NULL || key->max != NULL))
        buf_add_str(out, " bytes");
}
