/* image_file: a file that an image job reads. */
#ifndef WORKER_IMAGE_FILE_H
#define WORKER_IMAGE_FILE_H

#include "queue/spec_image.h"

struct image_file {
    const char *path;
    const uint8_t
        *sha256; /* of what was fetched, and is the job's alone; NULL: nobody has looked */
};
#define IMAGE_FILES_MAX (1 + SPEC_IMAGE_MARKS_MAX) /* the source, then those of watermarks */

#endif
