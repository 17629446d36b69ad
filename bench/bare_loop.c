/* bare_loop SOURCE COUNT WIDTH OUT: the same library calls as the renderer makes for one JPEG to
 * one width, and nothing else: no sandbox, no checks, no queue. Prints images a second and processor
 * milliseconds an image. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vips/vips.h>

static double now_s(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As worker/render/child/plan.h has it: the largest that leaves at least the width. */
static int shrink_for(int have, int want)
{
    int shrink = 8;

    while (shrink > 1 && have / shrink < want)
        shrink /= 2;
    return shrink;
}

static int save(VipsImage *im, const char *path)
{
    VipsTarget *to = vips_target_new_to_file(path);
    int rc = to == NULL ? -1
                        : vips_jpegsave_target(im, to, "Q", 80, "optimize_coding", TRUE, "keep",
                                               VIPS_FOREIGN_KEEP_NONE, NULL);

    if (to != NULL)
        g_object_unref(to);
    return rc;
}

static int one(void *bytes, size_t len, int width, const char *out)
{
    VipsObject *scope = (VipsObject *)vips_image_new();
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 3);
    int rc = -1, height;

    if (vips_jpegload_buffer(bytes, len, &t[0], "access", VIPS_ACCESS_SEQUENTIAL, NULL) == 0) {
        height = (int)((double)t[0]->Ysize * width / t[0]->Xsize + 0.5);
        if (vips_jpegload_buffer(bytes, len, &t[1], "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                 VIPS_FAIL_ON_ERROR, "shrink", shrink_for(t[0]->Xsize, width),
                                 NULL) == 0 &&
            vips_resize(t[1], &t[2], (double)width / t[1]->Xsize, "vscale",
                        (double)height / t[1]->Ysize, NULL) == 0)
            rc = save(t[2], out);
    }
    g_object_unref(scope);
    return rc;
}

static int loop(const char *source, long count, int width, const char *out)
{
    char *bytes;
    gsize len;
    double began, used;

    if (!g_file_get_contents(source, &bytes, &len, NULL))
        return -1;
    if (one(bytes, len, width, out) != 0)
        return -1;
    began = now_s(CLOCK_MONOTONIC);
    used = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < count; i++) {
        if (one(bytes, len, width, out) != 0)
            return -1;
    }
    (void)printf("images/s %.3f cpu_ms %.3f\n",
                 (double)count / (now_s(CLOCK_MONOTONIC) - began),
                 (now_s(CLOCK_PROCESS_CPUTIME_ID) - used) * 1e3 / (double)count);
    g_free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    long count = argc == 5 ? strtol(argv[2], NULL, 10) : 0;
    long width = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    int rc;

    if (count < 1 || width < 1 || width > 100000) {
        (void)fprintf(stderr, "usage: bare_loop SOURCE.jpg COUNT WIDTH OUT.jpg\n");
        return 2;
    }
    if (VIPS_INIT(argv[0]) != 0)
        return 1;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    rc = loop(argv[1], count, (int)width, argv[4]);
    if (rc != 0)
        (void)fprintf(stderr, "bare_loop: %s\n", vips_error_buffer());
    vips_shutdown();
    return rc == 0 ? 0 : 1;
}
