/* metrics: counters, gauges and log-linear histograms, printed as Prometheus text 0.0.4.
 *
 * A metric is made (or found again) once, at set-up, and kept as a pointer; the hot path is an
 * addition. labels is the inside of the braces, ready to print: queue="image",type="noop", or
 * NULL; values come from configuration or constants, never from clients. Names: base units
 * (seconds, bytes), _total for counters. Loop thread only. Never gives NULL: when memory runs
 * out, a dummy that is not printed. */
#ifndef SHARED_METRICS_H
#define SHARED_METRICS_H

#include "shared/buf.h"

struct metrics;
struct counter {
    uint64_t value;
};
struct gauge {
    int64_t value;
};
struct histogram;

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_free(struct metrics **m);

struct counter *metrics_counter(struct metrics *m, const char *name, const char *labels,
                                const char *help);
struct gauge *metrics_gauge(struct metrics *m, const char *name, const char *labels,
                            const char *help);
/* Seconds; buckets 1-2-5 from 100 us to 500 s. */
struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *labels,
                                    const char *help);

static inline void counter_add(struct counter *c, uint64_t n)
{
    c->value += n;
}
static inline void gauge_set(struct gauge *g, int64_t v)
{
    g->value = v;
}
static inline void gauge_add(struct gauge *g, int64_t v)
{
    g->value += v;
}
void histogram_add_us(struct histogram *h, uint64_t us);
/* Log-linear inside (32 sub-buckets a power of two): q in [0,1]; error below 3.2 %. */
uint64_t histogram_quantile_us(const struct histogram *h, double q);

/* millrace_build_info, process_resident_memory_bytes, process_open_fds and
 * process_start_time_seconds come with every print. */
void metrics_print(const struct metrics *m, struct buf *out);

#endif
