/* probe_text: what an attribute of an SVG says once its references are replaced, and the data: URLs in it. */
#ifndef WORKER_RENDER_CHILD_PROBE_TEXT_H
#define WORKER_RENDER_CHILD_PROBE_TEXT_H

#include "shared/buf.h"

#define PROBE_ENTITIES_MAX 64

/* The entities that a DOCTYPE declares, all of them plain text. */
struct probe_entities {
    struct {
        struct slice name, value;
    } list[PROBE_ENTITIES_MAX];
    size_t n;
};

/* What the references of a text are longer than what they stand for; 0: they are not. */
uint64_t probe_text_growth(struct slice text, const struct probe_entities *e);
/* The value as a parser gives it, but for line ends and tabs that are written as references: whoever reads a URL
 * drops them. A failure sticks to the buf. */
void probe_text_add(struct buf *out, struct slice value, const struct probe_entities *e);

/* The value of an attribute begins as a data: URL. */
bool probe_is_data(struct slice value);
/* A data: URL stands somewhere in it, as url(data:...). */
bool probe_has_data(struct slice value);
/* Its content. False: it is no data: URL that anybody could read, or memory is short. */
MUST_USE bool probe_data(struct slice url, struct buf *out);

#endif
