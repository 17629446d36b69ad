/* Any bytes as a source: the walk before the decoder, and the names of colour profiles. What
 * passes has a size within the limit, and a file that is cut shorter is never found to be
 * larger than the whole. */
#include "worker/render/child/icc.h"
#include "worker/render/child/probe.h"

#define MAX_PIXELS 100000000u

static const struct probe_limits limits = {.pixels = MAX_PIXELS};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_verdict(enum err e, const struct probe *p, const struct fault *why)
{
    must((e == ERR_OK) == (why->text[0] == '\0'));
    must(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED || e == ERR_TOO_BIG);
    if (e == ERR_OK)
        must(p->width > 0 && p->height > 0 && (uint64_t)p->width * p->height <= MAX_PIXELS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice file = slice_of(data, len);
    struct probe whole = {0}, again = {0};
    struct fault why = {0};
    enum err e = probe_bytes(file, &limits, &whole, &why);

    check_verdict(e, &whole, &why);
    must(probe_bytes(file, &limits, &again, NULL) == e && again.width == whole.width);
    if (len > 0) {
        struct probe cut = {0};
        struct fault cut_why = {0};
        enum err cut_e = probe_bytes(slice_of(data, len - 1), &limits, &cut, &cut_why);

        check_verdict(cut_e, &cut, &cut_why);
        must(cut_e != ERR_OK || e != ERR_OK ||
             (cut.width <= whole.width && cut.height <= whole.height));
    }
    (void)icc_is_srgb(file);
    return 0;
}
