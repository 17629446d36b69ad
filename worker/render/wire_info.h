/* wire_info: what an image job tells about its source, when asked to ("describe", image.info). One
 * map, which goes from the renderer to the worker and on into the job's result; the worker reads it
 * field by field, since the renderer may have been taken over. */
#ifndef WORKER_RENDER_WIRE_INFO_H
#define WORKER_RENDER_WIRE_INFO_H

#include "shared/mp.h"

#define WIRE_EXIF_MAX    60
#define WIRE_COLOURS_MAX 5

struct wire_exif {
    char name[48], value[128]; /* UTF-8 */
};
struct wire_colour {
    uint8_t rgb[3];
    uint32_t share; /* per mille of the pixels */
};
struct wire_info {
    uint32_t pages, orientation, bits;
    bool has_alpha, has_profile;
    char space[24]; /* "srgb" "b-w" "cmyk" "rgb16" ... */
    char blurhash[48], thumbhash[48], dhash[17], phash[17];
    struct wire_colour colours[WIRE_COLOURS_MAX];
    size_t n_colours;
    struct wire_exif exif[WIRE_EXIF_MAX];
    size_t n_exif;
};

void wire_info_pack(msgpack_packer *pk, const struct wire_info *m);
/* False: a field is missing, too long, or no text. */
MUST_USE bool wire_info_read(const msgpack_object *map, struct wire_info *ret);

#endif
