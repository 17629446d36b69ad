#include "worker/render/child/vfault.h"

#include <string.h>
#include <vips/vips.h>

#include "worker/render/wire.h"

/* The first that is found decides. Lower case, as in the texts of 8.14 to 8.18 and of the
 * codecs. */
static const struct {
    const char *part;
    enum err err;
} patterns[] = {
    {"security limit", ERR_TOO_BIG}, /* libheif calls that a memory allocation error, too */
    {"out of memory", ERR_NOMEM},
    {"unable to allocate", ERR_NOMEM},
    {"memory allocation", ERR_NOMEM},
    {"insufficient memory", ERR_NOMEM},
    {"cannot allocate", ERR_NOMEM},
    {"no space left", ERR_IO},
    {"file too large", ERR_IO},
    {"input/output error", ERR_IO},
    {"write error", ERR_IO},
    {"exceeds", ERR_TOO_BIG},
    {"too large", ERR_TOO_BIG},
    {"image size limit", ERR_TOO_BIG},
    {"excessive depth", ERR_TOO_BIG},      /* of an SVG */
    {"amplification factor", ERR_TOO_BIG}, /* of its entities */
    {"exceeded more than", ERR_TOO_BIG},   /* elements that it uses */
    {"unsupported", ERR_UNSUPPORTED},
    {"not been built in", ERR_UNSUPPORTED},
    {"not supported", ERR_UNSUPPORTED},
    {"operation is blocked", ERR_UNSUPPORTED},
    {"no known", ERR_UNSUPPORTED},
};

enum err vfault_classify(const char *text, enum err fallback)
{
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        if (strcasestr(text, patterns[i].part) != NULL)
            return patterns[i].err;
    }
    return fallback;
}

/* The loader of HEIF and AVIF looks beyond the end of every file, which is told and is no fault. */
static char *skip_notes(char *text)
{
    static const char note[] = "source: bad seek";

    while (strncmp(text, note, sizeof note - 1) == 0) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

enum err vfault_take(struct fault *reterr, enum err fallback, const char *what)
{
    char *text = vips_error_buffer_copy();
    enum err e = vfault_classify(text, fallback);
    char *first = skip_notes(text);

    /* Later lines repeat the first in other words. */
    first[strcspn(first, "\n")] = '\0';
    wire_printable(first);
    (void)fault_set(reterr, e, 0, "%s: %s", what,
                    first[0] == '\0' ? "libvips gave no reason" : first);
    g_free(text);
    return e;
}
