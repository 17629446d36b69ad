/* utf8: what is a character in UTF-8, strictly (RFC 3629): no overlong forms, no surrogates,
 * nothing above U+10FFFF. */
#ifndef SHARED_UTF8_H
#define SHARED_UTF8_H

#include "shared/slice.h"

/* Length of the character that starts at p, of which `left` > 0 bytes are there; 0: it is none. */
size_t utf8_step(const char *p, size_t left);
/* Whether all of it is UTF-8 without NUL, so that every database and every C string can hold it. */
bool utf8_is_text(struct slice s);

#endif
