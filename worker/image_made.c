#include "worker/image_made.h"

#include <string.h>

#include "shared/hash.h"
#include "worker/srcset.h"

/* --- what a renderer says ----------------------------------------------------------------------- */

static enum err take_outputs(struct image_made *m, const struct render_report *r,
                             struct fault *reterr)
{
    m->files = calloc(r->n_outputs + 1, sizeof *m->files);
    m->meta = calloc(r->n_outputs + 1, sizeof *m->meta);
    if (m->files == NULL || m->meta == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for %zu outputs", r->n_outputs);
    for (size_t i = 0; i < r->n_outputs; i++) {
        const struct render_output *o = &r->outputs[i];

        m->files[i].path = strdup(o->path);
        m->files[i].ext = image_format_ext(o->format);
        m->meta[i] = (struct image_meta){.format = o->format,
                                         .width = o->width,
                                         .height = o->height,
                                         .frames = o->frames,
                                         .quality = o->quality};
        (void)slice_to_cstr(slice_str(o->name), m->meta[i].name, sizeof m->meta[i].name);
        m->n = i + 1;
        if (m->files[i].path == NULL)
            return fault_set(reterr, ERR_NOMEM, 0, "no memory for a path");
    }
    return ERR_OK;
}

static enum err take_info(struct image_made *m, const struct wire_info *info,
                          struct fault *reterr)
{
    if (info == NULL)
        return ERR_OK;
    m->info = malloc(sizeof *m->info);
    if (m->info == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a description");
    *m->info = *info;
    return ERR_OK;
}

enum err image_made_take(struct image_made *m, const struct render_report *r,
                         struct fault *reterr)
{
    enum err e = take_outputs(m, r, reterr);

    m->source_format = r->source_format;
    m->source_width = r->source_width;
    m->source_height = r->source_height;
    m->render_ms = r->wall_ms;
    m->cpu_ms = r->cpu_ms;
    m->predicted_ms = r->predicted_ms;
    m->peak_rss = r->peak_rss;
    return e == ERR_OK ? take_info(m, r->info, reterr) : e;
}

void image_made_done(struct image_made *m)
{
    blob_items_discard(m->files, m->n);
    free(m->files);
    free(m->meta);
    free(m->info);
    *m = (struct image_made){.n = 0};
}

/* --- what is told ------------------------------------------------------------------------------- */

static void pack_output(msgpack_packer *pk, const struct image_meta *meta,
                        const struct blob_item *file)
{
    char hex[HASH_HEX_SIZE];

    msgpack_pack_map(pk, 6 + (meta->frames > 1) + (meta->quality > 0));
    mp_str(pk, "name");
    mp_str(pk, meta->name);
    mp_str(pk, "format");
    mp_str(pk, image_format_name(meta->format));
    mp_str(pk, "width");
    msgpack_pack_uint32(pk, meta->width);
    mp_str(pk, "height");
    msgpack_pack_uint32(pk, meta->height);
    if (meta->frames > 1) {
        mp_str(pk, "frames");
        msgpack_pack_uint32(pk, meta->frames);
    }
    if (meta->quality > 0) {
        mp_str(pk, "quality");
        msgpack_pack_uint32(pk, meta->quality);
    }
    mp_str(pk, "bytes");
    msgpack_pack_uint64(pk, file->bytes);
    mp_str(pk, "sha256");
    mp_str(pk, hex_text(file->sha256, sizeof file->sha256, hex));
}

static void pack_srcset(msgpack_packer *pk, const struct image_made *m, const struct uuid *job,
                        const msgpack_object *args)
{
    struct srcset_item items[SPEC_IMAGE_OUTPUTS_MAX];

    for (size_t i = 0; i < m->n; i++)
        items[i] = (struct srcset_item){.name = m->meta[i].name,
                                        .format = m->meta[i].format,
                                        .width = m->meta[i].width,
                                        .height = m->meta[i].height};
    srcset_pack(pk, job, args, items, m->n);
}

void image_made_pack(const struct image_made *m, const struct uuid *job,
                     const msgpack_object *args, struct buf *out)
{
    msgpack_packer pk;

    mp_packer(&pk, out);
    msgpack_pack_map(&pk, 6 + (m->info != NULL) + srcset_pairs(args));
    mp_str(&pk, "source");
    msgpack_pack_map(&pk, 3);
    mp_str(&pk, "format");
    mp_str(&pk, image_format_name(m->source_format));
    mp_str(&pk, "width");
    msgpack_pack_uint32(&pk, m->source_width);
    mp_str(&pk, "height");
    msgpack_pack_uint32(&pk, m->source_height);
    if (m->info != NULL) {
        mp_str(&pk, "info");
        wire_info_pack(&pk, m->info);
    }
    mp_str(&pk, "outputs");
    msgpack_pack_array(&pk, m->n);
    for (size_t i = 0; i < m->n; i++)
        pack_output(&pk, &m->meta[i], &m->files[i]);
    mp_str(&pk, "render_ms");
    msgpack_pack_uint32(&pk, m->render_ms);
    mp_str(&pk, "cpu_ms");
    msgpack_pack_uint32(&pk, m->cpu_ms);
    mp_str(&pk, "predicted_ms");
    msgpack_pack_uint32(&pk, m->predicted_ms);
    mp_str(&pk, "peak_rss");
    msgpack_pack_uint64(&pk, m->peak_rss);
    pack_srcset(&pk, m, job, args);
}

enum err image_made_rows(const struct image_made *m, struct ledger_output **ret,
                         struct fault *reterr)
{
    struct ledger_output *rows;

    *ret = NULL;
    if (m->n == 0)
        return ERR_OK;
    rows = calloc(m->n, sizeof *rows);
    if (rows == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for %zu outputs", m->n);
    for (size_t i = 0; i < m->n; i++) {
        rows[i] = (struct ledger_output){.name = strdup(m->meta[i].name),
                                         .file = strdup(m->files[i].name),
                                         .format = image_format_name(m->meta[i].format),
                                         .width = m->meta[i].width,
                                         .height = m->meta[i].height,
                                         .bytes = m->files[i].bytes};
        memcpy(rows[i].sha256, m->files[i].sha256, sizeof rows[i].sha256);
    }
    *ret = rows;
    for (size_t i = 0; i < m->n; i++) {
        if (rows[i].name == NULL || rows[i].file == NULL)
            return fault_set(reterr, ERR_NOMEM, 0, "no memory for an output's name");
    }
    return ERR_OK;
}
