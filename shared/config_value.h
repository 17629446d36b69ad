/* config_value: one value of a configuration table, from text into its field and back. */
#ifndef SHARED_CONFIG_VALUE_H
#define SHARED_CONFIG_VALUE_H

#include "shared/buf.h"
#include "shared/config.h"

/* Parses text as the key's kind and stores it in the field of *config, freeing what a CFG_TEXT
 * field held. On failure the field is as it was, and why (a whole clause that never quotes the
 * text) is appended. */
MUST_USE bool config_value_set(const struct cfg_key *key, const char *text, void *config,
                               struct buf *why);
/* Back to zero; frees, and wipes a secret. */
void config_value_clear(const struct cfg_key *key, void *config);
/* As if nobody had set it. */
MUST_USE bool config_value_is_default(const struct cfg_key *key, const void *config);

/* "1 to 256", "at least 1", "one of a, b"; nothing where every value is allowed. */
void config_value_range(const struct cfg_key *key, struct buf *out);
/* Name of choice i of a CFG_CHOICE key. */
struct slice config_value_choice(const struct cfg_key *key, size_t i);

#endif
