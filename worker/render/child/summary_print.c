/* dHash, pHash, and dominant colours. */
#include <math.h>
#include <string.h>

#include "worker/render/child/summary.h"

/* --- greys --------------------------------------------------------------------------------- */

static double grey_at(const struct summary_picture *p, unsigned x, unsigned y)
{
    const uint8_t *c = p->rgba + 4 * ((size_t)y * p->width + x);
    double alpha = c[3] / 255.0;

    return (0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]) * alpha + 255 * (1 - alpha);
}

/* How much of pixel i lies within from..to. */
static double part_of(unsigned i, double from, double to)
{
    double a = i > from ? i : from;
    double b = i + 1 < to ? i + 1 : to;

    return b > a ? b - a : 0;
}

/* The mean over an area whose sides need not lie between pixels. */
static double mean_of(const struct summary_picture *p, const double area[4])
{
    double sum = 0;
    double weight = 0;

    for (unsigned y = (unsigned)area[1]; y < p->height && y < area[3]; y++) {
        for (unsigned x = (unsigned)area[0]; x < p->width && x < area[2]; x++) {
            double w = part_of(x, area[0], area[2]) * part_of(y, area[1], area[3]);

            sum += w * grey_at(p, x, y);
            weight += w;
        }
    }
    return weight > 0 ? sum / weight : 0;
}

static void shrink_grey(const struct summary_picture *p, unsigned w, unsigned h, double *ret)
{
    for (unsigned y = 0; y < h; y++) {
        for (unsigned x = 0; x < w; x++) {
            double area[4] = {(double)x * p->width / w, (double)y * p->height / h,
                              (double)(x + 1) * p->width / w, (double)(y + 1) * p->height / h};

            /* Pictures are bytes; and the last digits of a sum must not decide a bit. */
            ret[y * w + x] = round(mean_of(p, area));
        }
    }
}

static void put_hex(uint64_t bits, char ret[17])
{
    (void)snprintf(ret, 17, "%016llx", (unsigned long long)bits);
}

void summary_dhash(const struct summary_picture *p, char ret[17])
{
    double grey[9 * 8];
    uint64_t bits = 0;

    shrink_grey(p, 9, 8, grey);
    for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++)
            bits = bits << 1 | (grey[y * 9 + x + 1] > grey[y * 9 + x]);
    }
    put_hex(bits, ret);
}

/* --- pHash --------------------------------------------------------------------------------- */

#define SIDE 32
#define LOW  8

static void dct_low(const double grey[SIDE * SIDE], double ret[LOW * LOW])
{
    double rows[SIDE * LOW];

    for (int y = 0; y < SIDE; y++) {
        for (int u = 0; u < LOW; u++) {
            double sum = 0;

            for (int x = 0; x < SIDE; x++)
                sum += grey[y * SIDE + x] * cos(M_PI * u * (2 * x + 1) / (2.0 * SIDE));
            rows[y * LOW + u] = 2 * sum;
        }
    }
    for (int v = 0; v < LOW; v++) {
        for (int u = 0; u < LOW; u++) {
            double sum = 0;

            for (int y = 0; y < SIDE; y++)
                sum += rows[y * LOW + u] * cos(M_PI * v * (2 * y + 1) / (2.0 * SIDE));
            ret[v * LOW + u] = round(sum * 2000) / 1000; /* what is nothing is 0 */
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

void summary_phash(const struct summary_picture *p, char ret[17])
{
    double grey[SIDE * SIDE];
    double low[LOW * LOW];
    double sorted[LOW * LOW];
    double median;
    uint64_t bits = 0;

    shrink_grey(p, SIDE, SIDE, grey);
    dct_low(grey, low);
    memcpy(sorted, low, sizeof sorted);
    qsort(sorted, (size_t)LOW * LOW, sizeof sorted[0], by_value);
    median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2;
    for (int i = 0; i < LOW * LOW; i++)
        bits = bits << 1 | (low[i] > median);
    put_hex(bits, ret);
}

/* --- dominant colours ---------------------------------------------------------------------- */

#define BINS     4096
#define DISTANCE 48.0 /* of two colours that count as one */
#define LEAST    10   /* per mille: less is no dominant colour */
#define OPAQUE   128

struct bin {
    uint32_t n, sum[3];
};

static size_t fill_bins(const struct summary_picture *p, struct bin *bins)
{
    size_t total = 0;

    for (size_t i = 0; i < (size_t)p->width * p->height; i++) {
        const uint8_t *c = p->rgba + 4 * i;
        struct bin *b = &bins[(c[0] >> 4) << 8 | (c[1] >> 4) << 4 | c[2] >> 4];

        if (c[3] < OPAQUE)
            continue;
        b->n++;
        for (int k = 0; k < 3; k++)
            b->sum[k] += c[k];
        total++;
    }
    return total;
}

static double distance(const struct bin *a, const struct bin *b)
{
    double sum = 0;

    for (int k = 0; k < 3; k++) {
        double d = (double)a->sum[k] / a->n - (double)b->sum[k] / b->n;

        sum += d * d;
    }
    return sqrt(sum);
}

/* Takes the fullest bin and all that are near it out of the rest. */
static uint32_t take_fullest(struct bin *bins, struct bin *ret)
{
    struct bin seed = bins[0];
    struct bin all = {0};

    for (size_t i = 1; i < BINS; i++)
        seed = bins[i].n > seed.n ? bins[i] : seed;
    for (size_t i = 0; i < BINS && seed.n > 0; i++) {
        if (bins[i].n == 0 || distance(&bins[i], &seed) > DISTANCE)
            continue;
        all.n += bins[i].n;
        for (int k = 0; k < 3; k++)
            all.sum[k] += bins[i].sum[k];
        bins[i].n = 0;
    }
    *ret = all;
    return all.n;
}

size_t summary_colours(const struct summary_picture *p,
                       struct wire_colour ret[WIRE_COLOURS_MAX])
{
    struct bin *bins = calloc(BINS, sizeof *bins);
    size_t total = bins == NULL ? 0 : fill_bins(p, bins);
    size_t n = 0;
    struct bin b;

    while (total > 0 && n < WIRE_COLOURS_MAX && take_fullest(bins, &b) > 0) {
        uint32_t share = (uint32_t)(1000 * (uint64_t)b.n / total);

        if (share < LEAST)
            break;
        for (int k = 0; k < 3; k++)
            ret[n].rgb[k] = (uint8_t)((b.sum[k] + b.n / 2) / b.n);
        ret[n++].share = share;
    }
    free(bins);
    return n;
}
