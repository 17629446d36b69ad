/* ThumbHash. */
#include <math.h>

#include "worker/render/child/summary.h"

#define PIXELS_MAX (SUMMARY_SIDE * SUMMARY_SIDE)
#define AC_MAX     28
#define HASH_MAX   32

struct channel {
    double dc, ac[AC_MAX], scale;
    unsigned n;
};

static unsigned round_up_half(double v)
{
    return (unsigned)floor(v + 0.5);
}

static double term(const double *v, const struct summary_picture *p, unsigned cx, unsigned cy)
{
    double fx[SUMMARY_SIDE];
    double f = 0;

    for (unsigned x = 0; x < p->width; x++)
        fx[x] = cos(M_PI / p->width * cx * (x + 0.5));
    for (unsigned y = 0; y < p->height; y++) {
        double fy = cos(M_PI / p->height * cy * (y + 0.5));

        for (unsigned x = 0; x < p->width; x++)
            f += v[x + y * p->width] * fx[x] * fy;
    }
    return f / ((double)p->width * p->height);
}

static void encode_channel(const double *v, const struct summary_picture *p, unsigned nx,
                           unsigned ny, struct channel *ret)
{
    *ret = (struct channel){0};
    for (unsigned cy = 0; cy < ny; cy++) {
        for (unsigned cx = 0; cx * ny < nx * (ny - cy); cx++) {
            double f = term(v, p, cx, cy);

            if (cx == 0 && cy == 0) {
                ret->dc = f;
                continue;
            }
            ret->ac[ret->n++] = f;
            ret->scale = fmax(ret->scale, fabs(f));
        }
    }
    for (unsigned i = 0; i < ret->n && ret->scale > 0; i++)
        ret->ac[i] = 0.5 + 0.5 / ret->scale * ret->ac[i];
}

/* Lightness, yellow-blue, red-green, alpha; transparent parts have the mean colour. */
struct planes {
    double l[PIXELS_MAX], p[PIXELS_MAX], q[PIXELS_MAX], a[PIXELS_MAX];
    bool has_alpha;
};

static void mean_colour(const struct summary_picture *p, double ret[4])
{
    for (int b = 0; b < 4; b++)
        ret[b] = 0;
    for (unsigned i = 0; i < p->width * p->height; i++) {
        double alpha = p->rgba[4 * i + 3] / 255.0;

        for (int b = 0; b < 3; b++)
            ret[b] += alpha / 255 * p->rgba[4 * i + (unsigned)b];
        ret[3] += alpha;
    }
    for (int b = 0; b < 3 && ret[3] > 0; b++)
        ret[b] /= ret[3];
}

static void split(const struct summary_picture *p, struct planes *ret)
{
    unsigned n = p->width * p->height;
    double mean[4];

    mean_colour(p, mean);
    ret->has_alpha = mean[3] < n;
    for (unsigned i = 0; i < n; i++) {
        double alpha = p->rgba[4 * i + 3] / 255.0;
        double c[3];

        for (int b = 0; b < 3; b++)
            c[b] = mean[b] * (1 - alpha) + alpha / 255 * p->rgba[4 * i + (unsigned)b];
        ret->l[i] = (c[0] + c[1] + c[2]) / 3;
        ret->p[i] = (c[0] + c[1]) / 2 - c[2];
        ret->q[i] = c[0] - c[1];
        ret->a[i] = alpha;
    }
}

struct nibbles {
    uint8_t bytes[HASH_MAX];
    unsigned start, n;
};

static void put_channel(struct nibbles *h, const struct channel *c)
{
    for (unsigned i = 0; i < c->n; i++, h->n++)
        h->bytes[h->start + h->n / 2] |=
            (uint8_t)(round_up_half(15 * c->ac[i]) << (h->n % 2 == 0 ? 0 : 4));
}

static void base64(const uint8_t *b, unsigned n, char *ret)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (unsigned i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) |
                     (i + 2 < n ? b[i + 2] : 0);

        *ret++ = digits[v >> 18];
        *ret++ = digits[v >> 12 & 63];
        *ret++ = (char)(i + 1 < n ? digits[v >> 6 & 63] : '=');
        *ret++ = (char)(i + 2 < n ? digits[v & 63] : '=');
    }
    *ret = '\0';
}

static unsigned terms_along(unsigned limit, unsigned side, unsigned longer)
{
    unsigned n = round_up_half((double)limit * side / longer);

    return n < 1 ? 1 : n;
}

static void put_header(struct nibbles *h, const struct channel c[4], bool has_alpha,
                       bool landscape, unsigned shorter_terms)
{
    uint32_t head = round_up_half(63 * c[0].dc) | round_up_half(31.5 + 31.5 * c[1].dc) << 6 |
                    round_up_half(31.5 + 31.5 * c[2].dc) << 12 |
                    round_up_half(31 * c[0].scale) << 18 | (has_alpha ? 1u << 23 : 0);
    uint32_t more = shorter_terms | round_up_half(63 * c[1].scale) << 3 |
                    round_up_half(63 * c[2].scale) << 9 | (landscape ? 1u << 15 : 0);

    for (int i = 0; i < 3; i++)
        h->bytes[i] = (uint8_t)(head >> 8 * i);
    h->bytes[3] = (uint8_t)more;
    h->bytes[4] = (uint8_t)(more >> 8);
    h->start = 5;
    if (has_alpha)
        h->bytes[h->start++] =
            (uint8_t)(round_up_half(15 * c[3].dc) | round_up_half(15 * c[3].scale) << 4);
}

void summary_thumbhash(const struct summary_picture *p, char ret[48])
{
    struct planes *planes = calloc(1, sizeof *planes);
    unsigned longer = p->width > p->height ? p->width : p->height;
    struct nibbles h = {.n = 0};
    struct channel c[4] = {{0}};
    unsigned limit, lx, ly;

    ret[0] = '\0';
    if (planes == NULL)
        return;
    split(p, planes);
    limit = planes->has_alpha ? 5 : 7;
    lx = terms_along(limit, p->width, longer);
    ly = terms_along(limit, p->height, longer);
    encode_channel(planes->l, p, lx < 3 ? 3 : lx, ly < 3 ? 3 : ly, &c[0]);
    encode_channel(planes->p, p, 3, 3, &c[1]);
    encode_channel(planes->q, p, 3, 3, &c[2]);
    if (planes->has_alpha)
        encode_channel(planes->a, p, 5, 5, &c[3]);
    put_header(&h, c, planes->has_alpha, p->width > p->height, p->width > p->height ? ly : lx);
    for (int i = 0; i < (planes->has_alpha ? 4 : 3); i++)
        put_channel(&h, &c[i]);
    base64(h.bytes, h.start + (h.n + 1) / 2, ret);
    free(planes);
}
