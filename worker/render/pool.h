/* pool: the renderers: child processes that each do one image order at a time in a sandbox.
 *
 *     spawning --hello--> idle --order--> busy --report--> idle | retiring (recycle_jobs, recycle_rss)
 *        |  \--no hello in time / exit--> dead (spawned again after back-off)
 *        busy --deadline, cancel, exit, bad report--> killed (SIGKILL), its order ends, a new one is spawned
 *
 * One renderer more than may work is kept, so that a replacement costs no order a wait. Each
 * has a directory of its own (spool_dir/r<k>), the only place it can read (in) or write
 * (out); the pool links (or copies) the source into it, and hands the outputs over as files
 * in spool_dir/out. A renderer holds no descriptor but its socket, stderr, /dev/null and two
 * files of /proc about itself; no environment; no network. What it reports is not trusted:
 * names, counts, formats and sizes are checked against the order, and files are opened with
 * O_NOFOLLOW and measured. How sizes follow from an order's operations stands in
 * child/plan.h.
 *
 * Nobody waits behind what takes long. From its header a renderer says what an order will cost
 * (child/cost.h); from slow_us on it is slow. While slow ones have all renderers that may work, the
 * spare one does quick ones: it looks at the headers of those in line, and sets aside what proves slow
 * until its turn comes.
 *
 * When three starts in a row have failed and no renderer is left, orders in line end with
 * ERR_CRASHED ("renderers do not start: ..."); starting is tried on, at most every 5 s.
 * Loop thread only. */
#ifndef WORKER_RENDER_POOL_H
#define WORKER_RENDER_POOL_H

#include <uv.h>

#include "queue/spec.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "worker/render/wire_info.h"

struct render_pool;
struct render_ticket;

struct render_limits {
    uint64_t source_bytes;  /* default 64 MiB */
    uint64_t pixels;        /* width x height x pages of the header; default 100,000,000 */
    uint64_t output_pixels; /* per output, times frames; default 100,000,000 */
    uint64_t output_bytes;  /* per output; default 128 MiB */
    uint64_t frames;        /* of a source that moves, in an output that does; default 500 */
    uint64_t cpu_ms;        /* processor time of an order; default 120,000 */
    uint64_t svg_bytes;     /* of a source, or a mark, that is SVG; 0: none is taken */
    uint64_t memory_bytes;  /* RLIMIT_AS of the child; default 2 GiB */
};
struct render_pool_options {
    const char *program; /* path of millrace-render */
    const char *fonts;   /* a directory more that renderers may read fonts from; may be NULL */
    const char *spool_dir; /* exists; what an earlier run left in r<k> and out is removed */
    unsigned renderers;    /* 0: one per core */
    unsigned recycle_jobs; /* 0: 1000 */
    uint64_t recycle_rss;  /* 0: 512 MiB: retired after an order that leaves it above */
    uint32_t hello_ms;     /* 0: 10000 */
    uint64_t slow_us;      /* 0: nothing is slow */
    struct render_limits limits; /* zero fields: the defaults */
    struct metrics *metrics;     /* may be NULL */
    const struct log_ctx *log;
};

struct render_order {
    const struct uuid *job;
    uint32_t attempt;
    const char *source_path;       /* stays the caller's; a symbolic link is followed */
    const char *const *mark_paths; /* as spec_image.marks; the same */
    size_t n_marks;
    struct slice args; /* encoded args of an image or image.info job (queue/spec.h) */
    uint32_t timeout_ms;
};
struct render_output {
    char name[JOB_NAME_MAX + 1];
    char *path; /* file the caller now owns: rename or unlink it */
    enum image_format format;
    uint32_t width, height; /* of one frame */
    uint32_t frames;        /* 1, unless it moves */
    uint32_t quality;       /* 0: nothing was lost */
    uint64_t bytes;
};
struct render_report {
    enum image_format source_format;
    uint32_t source_width, source_height; /* as stored, before orientation */
    struct render_output *outputs;        /* valid for the call; the files stay */
    size_t n_outputs;
    const struct wire_info *info; /* NULL unless asked for; valid for the call */
    uint32_t wall_ms, cpu_ms, predicted_ms;
    uint64_t peak_rss;
};
/* Errors: MALFORMED (not an image, broken), TOO_BIG (a limit, named with the measured
 * value), UNSUPPORTED (format), NOT_FOUND (the source), TIMEOUT (killed at the deadline),
 * CRASHED (native: the signal; the text says which, and the memory peak), NOMEM, CANCELED,
 * IO, INTERNAL. Comes once, never from inside a call of the pool. */
typedef void render_done_fn(void *arg, enum err e, const struct render_report *report,
                            const struct fault *why);
typedef void render_progress_fn(void *arg, unsigned pct);
typedef void render_pool_closed_fn(void *arg);

MUST_USE enum err render_pool_new(uv_loop_t *loop, const struct render_pool_options *opt,
                                  struct render_pool **ret, struct fault *reterr);
/* on_idle (may be NULL) runs whenever a renderer becomes free, and when an order proves slow. */
void render_pool_start(struct render_pool *p, void (*on_idle)(void *arg), void *arg);
size_t render_pool_size(const struct render_pool *p);
/* Orders known to be slow, under way or in line. */
size_t render_pool_slow(const struct render_pool *p);
/* Orders wait in line for a free renderer (the worker claims only what it has room for, so
 * the line is short); timeout_ms counts from the moment a renderer takes it. ERR_BUSY when
 * 1000 wait, ERR_MALFORMED for args that break the rules. *ret is valid until on_done. */
MUST_USE enum err render_pool_run(struct render_pool *p, const struct render_order *order,
                                  render_progress_fn *on_progress, render_done_fn *on_done,
                                  void *arg, struct render_ticket **ret, struct fault *reterr);
/* Kills the renderer if it has begun; on_done comes soon with ERR_CANCELED. */
void render_pool_cancel(struct render_ticket *t);
/* Kills all; orders end with ERR_CANCELED; directories are removed; on_closed runs last. */
void render_pool_close(struct render_pool **p, render_pool_closed_fn *on_closed, void *arg);

#endif
