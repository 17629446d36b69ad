/* probe_svg: an SVG before librsvg sees it: is it one, is it whole, how large does it claim to be, and does it
 * hold what the library would have to be trusted with.
 *
 * Refused are: entities that are more than text, that are not in the file, or that together make it larger than
 * it may be; XInclude; other declarations; encodings in which bytes mean something else; embedded pictures that
 * are broken, none, or too large together, and embedded documents. References to files and to the network are
 * left alone: the library has no place to resolve them from, and the sandbox no way to open them.
 *
 * It allocates for attributes with references and for embedded pictures, less than the file has bytes. */
#ifndef WORKER_RENDER_CHILD_PROBE_SVG_H
#define WORKER_RENDER_CHILD_PROBE_SVG_H

#include "worker/render/child/probe.h"

/* Whether the first element of an XML text is <svg>, whatever stands before it. */
bool probe_is_svg(struct slice file);
/* UNSUPPORTED where limits->svg_bytes is 0. ret's sides are 0 where the root does not tell them. */
MUST_USE enum err probe_svg(struct slice file, const struct probe_limits *limits,
                            struct probe *ret, struct fault *reterr);

#endif
