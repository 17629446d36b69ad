/* fonts: where text finds its fonts. Where the system's configuration does not do, one of our own
 * includes it, if there is one, and adds the system's usual directories and one of the operator's;
 * so neither a font nor a configuration has to be installed in a particular way. */
#ifndef WORKER_RENDER_CHILD_FONTS_H
#define WORKER_RENDER_CHILD_FONTS_H

#include "shared/err.h"

/* Writes such a configuration, if need be, where the sandbox may read it, and points fontconfig to
 * it. more: a directory, or "". Before anything asks for a font; one thread. */
MUST_USE enum err fonts_prepare(const char *more, struct fault *reterr);
/* Reads the configuration and finds a font, inside the sandbox; then takes the file away. A machine
 * without fonts draws no text. */
void fonts_warm_up(void);

#endif
