/* srcset: what a page needs to show the outputs of a job with "srcset": the attribute of each format, and a
 * <picture> of them. */
#ifndef WORKER_SRCSET_H
#define WORKER_SRCSET_H

#include "queue/spec.h"
#include "shared/mp.h"

struct srcset_item {
    const char *name;
    enum image_format format;
    uint32_t width, height;
};

/* How many pairs it adds to a result: none for other jobs. */
size_t srcset_pairs(const msgpack_object *args);
/* Adds "srcset": {format: text, ...} and "picture": text. Outputs of one format stand together; of those
 * that came out equally wide (nothing is enlarged) the first is named. */
void srcset_pack(msgpack_packer *pk, const struct uuid *job, const msgpack_object *args,
                 const struct srcset_item *items, size_t n);

#endif
