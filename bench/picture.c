/* picture WIDTH HEIGHT OUT: makes a picture that costs a codec what a photograph does: smooth
 * light, cloud-like texture at several scales, hard edges, sensor noise. The same arguments give the same pixels. */
#include <stdio.h>
#include <stdlib.h>
#include <vips/vips.h>

/* One octave of texture, -1..1, with cells of `cell` pixels. */
static VipsImage *octave(VipsObject *scope, int width, int height, int cell, int seed)
{
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 1);

    if (vips_perlin(&t[0], width, height, "cell_size", cell, "seed", seed, NULL) != 0)
        return NULL;
    return t[0];
}

static VipsImage *texture(VipsObject *scope, int width, int height, int seed)
{
    static const struct {
        int cell;
        double weight;
    } octaves[] = {{1024, 90}, {256, 45}, {64, 22}, {16, 10}};
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 12);
    VipsImage *sum = NULL;

    for (int i = 0; i < 4; i++) {
        VipsImage *o = octave(scope, width, height, octaves[i].cell, seed + i);

        if (o == NULL || vips_linear1(o, &t[2 * i], octaves[i].weight, 0, NULL) != 0)
            return NULL;
        if (sum == NULL)
            sum = t[2 * i];
        else if (vips_add(sum, t[2 * i], &t[2 * i + 1], NULL) != 0)
            return NULL;
        else
            sum = t[2 * i + 1];
    }
    return sum;
}

/* Light from the upper left, texture, noise: one colour band. */
static VipsImage *band(VipsObject *scope, int width, int height, int seed, double tint)
{
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 8);
    VipsImage *clouds = texture(scope, width, height, seed);

    if (clouds == NULL || vips_xyz(&t[0], width, height, NULL) != 0 ||
        vips_extract_band(t[0], &t[1], 1, NULL) != 0 ||
        vips_linear1(t[1], &t[2], -90.0 / height, tint, NULL) != 0 ||
        vips_gaussnoise(&t[3], width, height, "sigma", 3.0, "mean", 0.0, "seed", seed, NULL) !=
            0 ||
        vips_add(clouds, t[2], &t[4], NULL) != 0 || vips_add(t[4], t[3], &t[5], NULL) != 0)
        return NULL;
    return t[5];
}

static int draw(VipsObject *scope, int width, int height, const char *out)
{
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 8);
    double ink[3] = {32, 30, 38}, paper[3] = {236, 228, 210};

    for (int i = 0; i < 3; i++) {
        VipsImage *b = band(scope, width, height, 41 + 100 * i, 170 - 22 * i);

        if (b == NULL)
            return -1;
        t[i] = b;
        g_object_ref(b);
    }
    if (vips_bandjoin(t, &t[3], 3, NULL) != 0 || vips_cast_uchar(t[3], &t[4], NULL) != 0 ||
        vips_copy(t[4], &t[5], "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0)
        return -1;
    t[6] = vips_image_copy_memory(t[5]);
    if (t[6] == NULL ||
        vips_draw_circle(t[6], ink, 3, width / 3, height / 2, height / 6, "fill", TRUE, NULL) !=
            0 ||
        vips_draw_rect(t[6], paper, 3, width / 2, height / 3, width / 4, height / 3, "fill",
                       TRUE, NULL) != 0)
        return -1;
    return vips_image_write_to_file(t[6], out, "Q", 90, NULL);
}

int main(int argc, char **argv)
{
    VipsObject *scope;
    int rc;

    if (argc != 4 || strtol(argv[1], NULL, 10) < 16 || strtol(argv[2], NULL, 10) < 16) {
        (void)fprintf(stderr, "usage: picture WIDTH HEIGHT OUT.jpg\n");
        return 2;
    }
    if (VIPS_INIT(argv[0]) != 0)
        return 1;
    scope = (VipsObject *)vips_image_new();
    rc = draw(scope, (int)strtol(argv[1], NULL, 10), (int)strtol(argv[2], NULL, 10), argv[3]);
    g_object_unref(scope);
    if (rc != 0)
        (void)fprintf(stderr, "picture: %s\n", vips_error_buffer());
    vips_shutdown();
    return rc == 0 ? 0 : 1;
}
