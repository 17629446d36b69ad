/* image_made: what a renderer has made for an image job: its files, and what the job's result says of them. */
#ifndef WORKER_IMAGE_MADE_H
#define WORKER_IMAGE_MADE_H

#include "queue/ledger.h"
#include "shared/mp.h"
#include "worker/blob_store.h"
#include "worker/render/pool.h"

struct image_made {
    struct blob_item *files; /* one per output, in the report's order */
    size_t n;
    struct image_meta {
        char name[JOB_NAME_MAX + 1];
        enum image_format format;
        uint32_t width, height, frames, quality;
    } * meta;
    struct wire_info *info; /* NULL: nobody asked */
    enum image_format source_format;
    uint32_t source_width, source_height, render_ms, cpu_ms, predicted_ms;
    uint64_t peak_rss;
};

/* Copies the report; the files it names are then *m's. *m begins as zero, and may be half filled after an error. */
MUST_USE enum err image_made_take(struct image_made *m, const struct render_report *r,
                                  struct fault *reterr);
/* Appends the result map of that job. Once the files are stored. */
void image_made_pack(const struct image_made *m, const struct uuid *job,
                     const msgpack_object *args, struct buf *out);
/* m->n rows for slot_set_outputs(), NULL for none. After ERR_NOMEM *ret is NULL, or lacks a name. */
MUST_USE enum err image_made_rows(const struct image_made *m, struct ledger_output **ret,
                                  struct fault *reterr);
/* Removes the files that were not stored. */
void image_made_done(struct image_made *m);

#endif
