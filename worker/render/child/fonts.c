#include "worker/render/child/fonts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/render/child/vimage.h"

#define CONFIG "out/fonts.conf" /* where it may be removed later */

static const char head[] =
    "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>"
    "<include ignore_missing=\"yes\">/etc/fonts/fonts.conf</include>"
    "<dir>/usr/share/fonts</dir><dir>/usr/local/share/fonts</dir>"
    "<cachedir>/var/cache/fontconfig</cachedir>";

/* The directory becomes part of an XML file. */
static bool is_plain(const char *path)
{
    return path[0] == '\0' || (path[0] == '/' && strpbrk(path, "<>&\"'\n") == NULL);
}

static enum err write_config(const char *more, struct fault *reterr)
{
    FILE *f = fopen(CONFIG, "w");
    int rc;

    if (f == NULL)
        return fault_set(reterr, ERR_IO, errno, "%s: %s", CONFIG, err_errno(errno));
    rc = fprintf(f, "%s", head);
    if (rc >= 0 && more[0] != '\0')
        rc = fprintf(f, "<dir>%s</dir>", more);
    if (rc >= 0)
        rc = fprintf(f, "</fontconfig>\n");
    if (fclose(f) != 0 || rc < 0)
        return fault_set(reterr, ERR_IO, errno, "%s: %s", CONFIG, err_errno(errno));
    return ERR_OK;
}

/* Not where fontconfig would do the same by itself, nor where there are no fonts at all. */
static bool is_needed(const char *more)
{
    return more[0] != '\0' || (access("/etc/fonts/fonts.conf", R_OK) != 0 &&
                               access("/usr/share/fonts", R_OK) == 0);
}

enum err fonts_prepare(const char *more, struct fault *reterr)
{
    char path[PATH_MAX];
    enum err e;

    if (!is_plain(more))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "RENDER_FONTS must be an absolute path without <, >, & and quotes");
    if (!is_needed(more))
        return ERR_OK;
    e = write_config(more, reterr);
    if (e != ERR_OK)
        return e;
    if (realpath(CONFIG, path) == NULL)
        return fault_set(reterr, ERR_IO, errno, "%s: %s", CONFIG, err_errno(errno));
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread as yet */
    (void)setenv("FONTCONFIG_FILE", path, 1);
    return ERR_OK;
}

void fonts_warm_up(void)
{
    AUTO(vimage_drop) VipsImage *im = NULL;

    if (vips_text(&im, "Aa", "font", "sans 12", "dpi", 72, NULL) != 0)
        vips_error_clear();
    (void)unlink(CONFIG);
}
