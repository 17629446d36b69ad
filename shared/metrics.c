#include "shared/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "shared/metrics_process.h"

/* Values below 2^SUB_BITS us have a bucket each; above, every power of two has 2^SUB_BITS of
 * them, so a bucket is at most 1/32 of its value wide. */
enum {
    SUB_BITS = 5,
    SUB = 1 << SUB_BITS,
    MAX_BITS = 40,
    FINE = SUB + (MAX_BITS - SUB_BITS) * SUB
};

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

/* The buckets that Prometheus sees. They are counted apart from the fine ones, because their
 * bounds fall inside those. */
static const struct bound {
    uint64_t us;
    const char *le;
} bounds[] = {
    {100, "0.0001"},    {200, "0.0002"},  {500, "0.0005"},    {1000, "0.001"},
    {2000, "0.002"},    {5000, "0.005"},  {10000, "0.01"},    {20000, "0.02"},
    {50000, "0.05"},    {100000, "0.1"},  {200000, "0.2"},    {500000, "0.5"},
    {1000000, "1"},     {2000000, "2"},   {5000000, "5"},     {10000000, "10"},
    {20000000, "20"},   {50000000, "50"}, {100000000, "100"}, {200000000, "200"},
    {500000000, "500"},
};

struct histogram {
    uint64_t count, sum_us;
    uint64_t
        coarse[COUNT_OF(bounds)]; /* not cumulated; what is over the last bound is in none */
    uint64_t fine[FINE];
};

struct series {
    struct series *next;
    char *labels; /* "" for none */
    union {
        struct counter counter;
        struct gauge gauge;
        struct histogram histogram;
    };
};

struct family {
    struct family *next;
    enum type type;
    char *name, *help;
    struct series *series, **series_tail;
};

struct metrics {
    struct family *families, **families_tail;
    struct metrics_process process;
    /* Given when memory has run out; never printed. */
    struct counter no_counter;
    struct gauge no_gauge;
    struct histogram no_histogram;
};

static const char *const type_names[] = {
    [TYPE_COUNTER] = "counter", [TYPE_GAUGE] = "gauge", [TYPE_HISTOGRAM] = "histogram"};

/* --- names: ours, so a wrong one is a bug -------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);

    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

static bool is_word(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool digit = s[i] >= '0' && s[i] <= '9';

        if (!(s[i] == '_' || (s[i] >= 'a' && s[i] <= 'z') || (digit && i > 0)))
            return false;
    }
    return len > 0;
}

static bool is_name(enum type type, const char *name)
{
    if (!is_word(name, strlen(name)))
        return false;
    switch (type) {
    case TYPE_COUNTER:
        return ends_with(name, "_total");
    case TYPE_HISTOGRAM:
        return ends_with(name, "_seconds");
    case TYPE_GAUGE:
        break;
    }
    return !ends_with(name, "_total");
}

/* Behind the value's closing quote; NULL if it does not close. */
static const char *skip_value(const char *p)
{
    for (; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        if (*p == '\0' || *p == '\n')
            return NULL;
    }
    return p + 1;
}

/* a="x",b="y" */
static bool is_labels(const char *p)
{
    while (*p != '\0') {
        size_t len = strcspn(p, "=");

        if (!is_word(p, len) || strncmp(p + len, "=\"", 2) != 0)
            return false;
        p = skip_value(p + len + 2);
        if (p == NULL || (*p != '\0' && (*p != ',' || p[1] == '\0')))
            return false;
        p += *p == ',';
    }
    return true;
}

/* --- making and finding -------------------------------------------------------------------- */

static void family_free(struct family *f)
{
    struct series *s, *next;

    if (f == NULL)
        return;
    for (s = f->series; s != NULL; s = next) {
        next = s->next;
        free(s->labels);
        free(s);
    }
    free(f->name);
    free(f->help);
    free(f);
}

static struct family *family_new(enum type type, const char *name, const char *help)
{
    struct family *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->type = type;
    f->series_tail = &f->series;
    f->name = strdup(name);
    f->help = strdup(help);
    if (f->name != NULL && f->help != NULL)
        return f;
    family_free(f);
    return NULL;
}

static struct family *family_get(struct metrics *m, enum type type, const char *name,
                                 const char *help)
{
    struct family *f;

    must(is_name(type, name));
    for (f = m->families; f != NULL; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            must(f->type == type);
            return f;
        }
    }
    f = family_new(type, name, help);
    if (f != NULL) {
        *m->families_tail = f;
        m->families_tail = &f->next;
    }
    return f;
}

/* A histogram is large; the others need not be. */
static size_t series_size(enum type type)
{
    static const size_t sizes[] = {
        [TYPE_COUNTER] = sizeof(struct counter),
        [TYPE_GAUGE] = sizeof(struct gauge),
        [TYPE_HISTOGRAM] = sizeof(struct histogram),
    };

    return offsetof(struct series, counter) + sizes[type];
}

static struct series *series_get(struct family *f, const char *labels)
{
    struct series *s;

    must(is_labels(labels));
    for (s = f->series; s != NULL; s = s->next) {
        if (strcmp(s->labels, labels) == 0)
            return s;
    }
    s = calloc(1, series_size(f->type));
    if (s == NULL)
        return NULL;
    s->labels = strdup(labels);
    if (s->labels == NULL) {
        free(s);
        return NULL;
    }
    *f->series_tail = s;
    f->series_tail = &s->next;
    return s;
}

static struct series *get(struct metrics *m, enum type type, const char *name,
                          const char *labels, const char *help)
{
    struct family *f = family_get(m, type, name, help);

    return f == NULL ? NULL : series_get(f, labels == NULL ? "" : labels);
}

struct counter *metrics_counter(struct metrics *m, const char *name, const char *labels,
                                const char *help)
{
    struct series *s = get(m, TYPE_COUNTER, name, labels, help);

    return s == NULL ? &m->no_counter : &s->counter;
}

struct gauge *metrics_gauge(struct metrics *m, const char *name, const char *labels,
                            const char *help)
{
    struct series *s = get(m, TYPE_GAUGE, name, labels, help);

    return s == NULL ? &m->no_gauge : &s->gauge;
}

struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *labels,
                                    const char *help)
{
    struct series *s = get(m, TYPE_HISTOGRAM, name, labels, help);

    return s == NULL ? &m->no_histogram : &s->histogram;
}

struct metrics *metrics_new(void)
{
    struct metrics *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->families_tail = &m->families;
    metrics_process_init(&m->process);
    return m;
}

void metrics_free(struct metrics **mp)
{
    struct metrics *m = *mp;
    struct family *f, *next;

    if (m == NULL)
        return;
    for (f = m->families; f != NULL; f = next) {
        next = f->next;
        family_free(f);
    }
    free(m);
    *mp = NULL;
}

/* --- histograms ---------------------------------------------------------------------------- */

static size_t fine_index(uint64_t us)
{
    unsigned shift;

    if (us < SUB)
        return (size_t)us;
    if (us >> MAX_BITS != 0)
        return FINE - 1;
    shift = 63 - (unsigned)__builtin_clzll(us) - SUB_BITS;
    return (size_t)shift * SUB + (size_t)(us >> shift);
}

/* The middle of a fine bucket. */
static uint64_t fine_value(size_t i)
{
    unsigned shift;

    if (i < SUB)
        return i;
    shift = (unsigned)(i / SUB) - 1;
    return ((uint64_t)(SUB + i % SUB) << shift) + (((uint64_t)1 << shift) >> 1);
}

static size_t bound_index(uint64_t us)
{
    size_t low = 0, high = COUNT_OF(bounds);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (us <= bounds[middle].us)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void histogram_add_us(struct histogram *h, uint64_t us)
{
    size_t b = bound_index(us);

    h->count++;
    h->sum_us += us;
    h->fine[fine_index(us)]++;
    if (b < COUNT_OF(bounds))
        h->coarse[b]++;
}

uint64_t histogram_quantile_us(const struct histogram *h, double q)
{
    double wanted = q * (double)h->count;
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted, passed = 0;

    if (h->count == 0)
        return 0;
    if ((double)rank < wanted)
        rank++;
    if (rank > h->count)
        rank = h->count;
    for (size_t i = 0; i < FINE; i++) {
        passed += h->fine[i];
        if (passed >= rank)
            return fine_value(i);
    }
    must_failed("the fine buckets add up to count", __FILE__, __LINE__);
}

/* --- printing ------------------------------------------------------------------------------ */

static void print_help(struct buf *out, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\\')
            buf_add_str(out, "\\\\");
        else if (*help == '\n')
            buf_add_str(out, "\\n");
        else
            buf_add_char(out, *help);
    }
}

static void print_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s ", name);
    print_help(out, help);
    buf_addf(out, "\n# TYPE %s %s\n", name, type);
}

static void print_labels(struct buf *out, const char *labels)
{
    if (labels[0] != '\0')
        buf_addf(out, "{%s}", labels);
    buf_add_char(out, ' ');
}

static void print_bucket(struct buf *out, const char *name, const char *labels, const char *le,
                         uint64_t count)
{
    buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels,
             labels[0] == '\0' ? "" : ",", le, count);
}

static void print_histogram(struct buf *out, const char *name, const char *labels,
                            const struct histogram *h)
{
    uint64_t below = 0;

    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        below += h->coarse[i];
        print_bucket(out, name, labels, bounds[i].le, below);
    }
    print_bucket(out, name, labels, "+Inf", h->count);
    buf_addf(out, "%s_sum", name);
    print_labels(out, labels);
    buf_addf(out, "%" PRIu64 ".%06" PRIu64 "\n", h->sum_us / 1000000, h->sum_us % 1000000);
    buf_addf(out, "%s_count", name);
    print_labels(out, labels);
    buf_addf(out, "%" PRIu64 "\n", h->count);
}

static void print_series(struct buf *out, const struct family *f, const struct series *s)
{
    if (f->type == TYPE_HISTOGRAM) {
        print_histogram(out, f->name, s->labels, &s->histogram);
        return;
    }
    buf_add_str(out, f->name);
    print_labels(out, s->labels);
    if (f->type == TYPE_COUNTER)
        buf_addf(out, "%" PRIu64 "\n", s->counter.value);
    else
        buf_addf(out, "%" PRId64 "\n", s->gauge.value);
}

static void print_process(struct buf *out, const struct metrics *m)
{
    struct metrics_process_values v;

    print_head(out, "millrace_build_info", "gauge", "Always 1; its labels say what runs");
    buf_addf(out, "millrace_build_info{version=\"%s\"} 1\n", MILLRACE_VERSION);
    if (!metrics_process_read(&m->process, &v))
        return;
    print_head(out, "process_resident_memory_bytes", "gauge", "Memory in use");
    buf_addf(out, "process_resident_memory_bytes %" PRIu64 "\n", v.resident_bytes);
    print_head(out, "process_open_fds", "gauge", "Open file descriptors");
    buf_addf(out, "process_open_fds %" PRIu64 "\n", v.open_fds);
    print_head(out, "process_start_time_seconds", "gauge",
               "Unix time at which the process began");
    buf_addf(out, "process_start_time_seconds %.2f\n", v.start_time_s);
    print_head(out, "process_cpu_seconds_total", "counter", "Processor time, user and system");
    buf_addf(out, "process_cpu_seconds_total %.2f\n", v.cpu_s);
}

void metrics_print(const struct metrics *m, struct buf *out)
{
    for (const struct family *f = m->families; f != NULL; f = f->next) {
        print_head(out, f->name, type_names[f->type], f->help);
        for (const struct series *s = f->series; s != NULL; s = s->next)
            print_series(out, f, s);
    }
    print_process(out, m);
}
