#include "shared/config_name.h"

#include <string.h>

static const char file_suffix[] = "_FILE";

static char upper(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c;
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

/* foo-bar -> FOO_BAR. Gives false if it is too long to be a name, or no flag's spelling. */
static bool name_of_flag(const char *flag, char dst[CONFIG_FLAG_SIZE])
{
    size_t len = strlen(flag);

    if (len >= CONFIG_FLAG_SIZE)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = flag[i];

        if (c == '_' || (c >= 'A' && c <= 'Z'))
            return false;
        dst[i] = upper(c);
        if (c == '-')
            dst[i] = '_';
    }
    return true;
}

void config_name_flag(const struct cfg_key *key, bool file, char dst[CONFIG_FLAG_SIZE])
{
    must(strlen(key->name) <= CFG_NAME_MAX);
    (void)snprintf(dst, CONFIG_FLAG_SIZE, "--%s%s", key->name, file ? file_suffix : "");
    for (char *p = dst; *p != '\0'; p++) {
        *p = lower(*p);
        if (*p == '_')
            *p = '-';
    }
}

static const struct cfg_key *find_len(const struct cfg_spec *spec, const char *name, size_t len)
{
    for (size_t i = 0; i < spec->n_keys; i++) {
        if (slice_is(slice_of(name, len), spec->keys[i].name))
            return &spec->keys[i];
    }
    return NULL;
}

struct config_ref config_name_find(const struct cfg_spec *spec, const char *name)
{
    size_t len = strlen(name), suffix = sizeof file_suffix - 1;
    struct config_ref ref = {find_len(spec, name, len), false};

    if (ref.key != NULL || len <= suffix || strcmp(name + len - suffix, file_suffix) != 0)
        return ref;
    ref.key = find_len(spec, name, len - suffix);
    ref.file = true;
    if (ref.key != NULL && (ref.key->flags & CFG_SECRET) == 0)
        ref.key = NULL;
    return ref;
}

struct config_ref config_name_find_flag(const struct cfg_spec *spec, const char *flag)
{
    char name[CONFIG_FLAG_SIZE];

    if (!name_of_flag(flag, name))
        return (struct config_ref){NULL, false};
    return config_name_find(spec, name);
}

/* How many characters one must add, drop or change to make b of a (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[CFG_NAME_MAX + 1];
    size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t corner = row[0]; /* the cell up and left */

        row[0] = i + 1;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = corner + (a[i] != b[j - 1]);

            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

/* As a key would be spelled: FOO_BAR for "foo-bar", "Foo_Bar" and "MILLRACE_FOO_BAR". */
static bool normalize(const char *name, char dst[CONFIG_FLAG_SIZE])
{
    static const char prefix[] = "MILLRACE_";
    size_t skip;

    if (strlen(name) >= CONFIG_FLAG_SIZE)
        return false;
    skip = strncmp(name, prefix, sizeof prefix - 1) == 0 ? sizeof prefix - 1 : 0;
    for (name += skip; *name != '\0'; name++, dst++) {
        *dst = upper(*name);
        if (*dst == '-')
            *dst = '_';
    }
    *dst = '\0';
    return true;
}

const struct cfg_key *config_name_nearest(const struct cfg_spec *spec, const char *name)
{
    char wanted[CONFIG_FLAG_SIZE];
    const struct cfg_key *nearest = NULL;
    size_t least;

    if (!normalize(name, wanted))
        return NULL;
    least = 2 + strlen(wanted) / 5; /* farther than this is not a slip of the fingers */
    for (size_t i = 0; i < spec->n_keys; i++) {
        size_t d = distance(wanted, spec->keys[i].name);

        if (d < least) {
            least = d;
            nearest = &spec->keys[i];
        }
    }
    return nearest;
}
