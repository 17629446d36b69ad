/* config_name: what a key is called in each place, and which key a name means. */
#ifndef SHARED_CONFIG_NAME_H
#define SHARED_CONFIG_NAME_H

#include "shared/config.h"

#define CONFIG_FLAG_SIZE (CFG_NAME_MAX + 8) /* "--", the name, "-file", NUL */

/* "--foo-bar", or "--foo-bar-file". */
void config_name_flag(const struct cfg_key *key, bool file, char dst[CONFIG_FLAG_SIZE]);

/* Which key FOO_BAR means; FOO_BAR_FILE means a secret FOO_BAR, by way of a file. */
struct config_ref {
    const struct cfg_key *key; /* NULL: no such key */
    bool file;
};
struct config_ref config_name_find(const struct cfg_spec *spec, const char *name);
/* The same for a flag without its dashes, foo-bar. */
struct config_ref config_name_find_flag(const struct cfg_spec *spec, const char *flag);

/* The key whose name is nearest to this one, if one is near; "foo-bar" and "MILLRACE_FOO_BAR" are
 * taken as FOO_BAR. NULL: none. */
const struct cfg_key *config_name_nearest(const struct cfg_spec *spec, const char *name);

#endif
