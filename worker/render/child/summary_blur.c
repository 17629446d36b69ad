/* BlurHash. */
#include <math.h>

#include "worker/render/child/summary.h"

#define NX    4
#define NY    3
#define TERMS (NX * NY)

static double to_linear(double byte)
{
    double v = byte / 255;

    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static unsigned to_srgb(double v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return (unsigned)(v <= 0.0031308 ? v * 12.92 * 255 + 0.5
                                     : (1.055 * pow(v, 1 / 2.4) - 0.055) * 255 + 0.5);
}

static double over_white(const uint8_t *pixel, int band)
{
    return (pixel[band] * pixel[3] + 255.0 * (255 - pixel[3])) / 255;
}

struct waves {
    double x[NX][SUMMARY_SIDE], y[NY][SUMMARY_SIDE];
};

static void add_pixel(const struct summary_picture *p, const struct waves *w, unsigned x,
                      unsigned y, double terms[TERMS][3])
{
    const uint8_t *pixel = p->rgba + 4 * ((size_t)y * p->width + x);
    double light[3];

    for (int b = 0; b < 3; b++)
        light[b] = to_linear(over_white(pixel, b));
    for (int i = 0; i < TERMS; i++) {
        double basis = w->x[i % NX][x] * w->y[i / NX][y] * (i == 0 ? 1 : 2);

        for (int b = 0; b < 3; b++)
            terms[i][b] += basis * light[b];
    }
}

static void transform(const struct summary_picture *p, double terms[TERMS][3])
{
    double n = (double)p->width * p->height;
    struct waves w;

    for (int i = 0; i < NX; i++) {
        for (unsigned x = 0; x < p->width; x++)
            w.x[i][x] = cos(M_PI * i * x / p->width);
    }
    for (int i = 0; i < NY; i++) {
        for (unsigned y = 0; y < p->height; y++)
            w.y[i][y] = cos(M_PI * i * y / p->height);
    }
    for (unsigned y = 0; y < p->height; y++) {
        for (unsigned x = 0; x < p->width; x++)
            add_pixel(p, &w, x, y, terms);
    }
    for (int i = 0; i < TERMS; i++) {
        for (int b = 0; b < 3; b++)
            terms[i][b] /= n;
    }
}

static char *put83(char *at, unsigned value, unsigned digits)
{
    static const char alphabet[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

    for (unsigned i = digits; i > 0; i--) {
        at[i - 1] = alphabet[value % 83];
        value /= 83;
    }
    return at + digits;
}

static unsigned quantise(double v, double largest)
{
    double part = v / largest;
    double q = floor(copysign(sqrt(fabs(part)), part) * 9 + 9.5);

    return (unsigned)(q < 0 ? 0 : q > 18 ? 18 : q);
}

void summary_blurhash(const struct summary_picture *p, char ret[48])
{
    double terms[TERMS][3] = {{0}};
    double largest = 0;
    double level;
    char *at = ret;

    transform(p, terms);
    for (int i = 1; i < TERMS; i++) {
        for (int b = 0; b < 3; b++)
            largest = fmax(largest, fabs(terms[i][b]));
    }
    level = fmax(0, fmin(82, floor(largest * 166 - 0.5)));
    at = put83(at, (NX - 1) + (NY - 1) * 9, 1);
    at = put83(at, (unsigned)level, 1);
    at = put83(
        at, to_srgb(terms[0][0]) << 16 | to_srgb(terms[0][1]) << 8 | to_srgb(terms[0][2]), 4);
    for (int i = 1; i < TERMS; i++) {
        unsigned q[3];

        for (int b = 0; b < 3; b++)
            q[b] = quantise(terms[i][b], (level + 1) / 166);
        at = put83(at, q[0] * 361 + q[1] * 19 + q[2], 2);
    }
    *at = '\0';
}
