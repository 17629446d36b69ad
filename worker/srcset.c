#include "worker/srcset.h"

#include "shared/buf.h"

struct set {
    const struct uuid *job;
    const struct srcset_item *items;
    size_t n;
    struct slice sizes; /* len 0: none given */
};

size_t srcset_pairs(const msgpack_object *args)
{
    return mp_get(args, "srcset") != NULL ? 2 : 0;
}

/* --- one format ------------------------------------------------------------------------------- */

/* Where the outputs of the format of item i end. */
static size_t group_end(const struct set *s, size_t i)
{
    size_t k = i;

    while (k < s->n && s->items[k].format == s->items[i].format)
        k++;
    return k;
}

static void add_url(const struct set *s, size_t i, struct buf *out)
{
    char id[UUID_TEXT_SIZE];

    buf_addf(out, "/v1/jobs/%s/outputs/%s", uuid_text(s->job, id), s->items[i].name);
}

static bool came_before(const struct set *s, size_t from, size_t i)
{
    for (size_t k = from; k < i; k++) {
        if (s->items[k].width == s->items[i].width)
            return true;
    }
    return false;
}

static void add_candidates(const struct set *s, size_t from, struct buf *out)
{
    size_t end = group_end(s, from);

    for (size_t i = from; i < end; i++) {
        if (came_before(s, from, i))
            continue;
        buf_add_str(out, i > from ? ", " : "");
        add_url(s, i, out);
        buf_addf(out, " %uw", s->items[i].width);
    }
}

static void pack_buf(msgpack_packer *pk, const struct buf *text)
{
    mp_slice(pk, buf_failed(text) ? slice_of("", 0) : buf_slice(text));
}

static void pack_attributes(msgpack_packer *pk, const struct set *s)
{
    size_t groups = 0;

    for (size_t i = 0; i < s->n; i = group_end(s, i))
        groups++;
    mp_str(pk, "srcset");
    msgpack_pack_map(pk, groups);
    for (size_t i = 0; i < s->n; i = group_end(s, i)) {
        AUTO(buf_done) struct buf text = {0};

        add_candidates(s, i, &text);
        mp_str(pk, image_format_name(s->items[i].format));
        pack_buf(pk, &text);
    }
}

/* --- the element ------------------------------------------------------------------------------ */

static void add_escaped(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '&')
            buf_add_str(out, "&amp;");
        else if (c == '"')
            buf_add_str(out, "&quot;");
        else if (c == '<')
            buf_add_str(out, "&lt;");
        else if (c == '>')
            buf_add_str(out, "&gt;");
        else
            buf_add_char(out, c);
    }
}

static void add_set(const struct set *s, size_t from, struct buf *out)
{
    buf_add_str(out, " srcset=\"");
    add_candidates(s, from, out);
    buf_add_char(out, '"');
    if (s->sizes.len == 0)
        return;
    buf_add_str(out, " sizes=\"");
    add_escaped(s->sizes, out);
    buf_add_char(out, '"');
}

/* The widest of the last format is what browsers that know no srcset get; its sides keep the place free. */
static void add_img(const struct set *s, size_t from, struct buf *out)
{
    size_t widest = from;

    for (size_t i = from; i < s->n; i++) {
        if (s->items[i].width > s->items[widest].width)
            widest = i;
    }
    buf_add_str(out, "<img src=\"");
    add_url(s, widest, out);
    buf_add_char(out, '"');
    add_set(s, from, out);
    buf_addf(out, " width=\"%u\" height=\"%u\" alt=\"\">", s->items[widest].width,
             s->items[widest].height);
}

static void pack_picture(msgpack_packer *pk, const struct set *s)
{
    AUTO(buf_done) struct buf text = {0};

    buf_add_str(&text, "<picture>");
    for (size_t i = 0; i < s->n; i = group_end(s, i)) {
        if (group_end(s, i) == s->n) {
            add_img(s, i, &text);
            break;
        }
        buf_addf(&text, "<source type=\"%s\"", image_format_mime(s->items[i].format));
        add_set(s, i, &text);
        buf_add_char(&text, '>');
    }
    buf_add_str(&text, "</picture>");
    mp_str(pk, "picture");
    pack_buf(pk, &text);
}

void srcset_pack(msgpack_packer *pk, const struct uuid *job, const msgpack_object *args,
                 const struct srcset_item *items, size_t n)
{
    const msgpack_object *srcset = mp_get(args, "srcset");
    const msgpack_object *sizes = srcset == NULL ? NULL : mp_get(srcset, "sizes");
    const struct set s = {.job = job,
                          .items = items,
                          .n = n,
                          .sizes = sizes == NULL ? slice_of("", 0) : mp_as_slice(sizes)};

    if (srcset == NULL)
        return;
    pack_attributes(pk, &s);
    pack_picture(pk, &s);
}
