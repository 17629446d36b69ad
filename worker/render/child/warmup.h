/* warmup: makes the codecs load, allocate and start whatever they do at first use, before
 * the sandbox closes; and finds out at the start, not in a customer's job, that one is
 * missing. */
#ifndef WORKER_RENDER_CHILD_WARMUP_H
#define WORKER_RENDER_CHILD_WARMUP_H

#include "shared/err.h"

/* Pulls in the plug-ins of libheif (files, on newer Debians). Starts no thread. */
void warmup_plugins(void);
/* A tiny picture through every encoder and decoder, and one colour transform. svg: that one, too. */
MUST_USE enum err warmup_codecs(bool svg, struct fault *reterr);

#endif
