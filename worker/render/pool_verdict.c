#include "worker/render/pool_verdict.h"

#include <signal.h>
#include <string.h>

#define MIB(bytes) ((unsigned long long)(bytes) >> 20)

/* What glib, libstdc++ and the codecs say before they give up; only a long block that is
 * refused leaves the peak far below the limit. */
static bool speaks_of_memory(const char *tail)
{
    static const char *const words[] = {"failed to allocate", "out of memory", "bad_alloc",
                                        "annot allocate memory", "memory allocation of"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcasestr(tail, words[i]) != NULL)
            return true;
    }
    return false;
}

static bool is_out_of_memory(const struct pool_child_end *end, uint64_t limit)
{
    uint64_t peak = end->crash == NULL ? 0 : end->crash->peak_vm;

    /* Over the limit: it is not in force (sandbox.h). */
    if (limit == 0 || peak == 0 || peak > limit)
        return false;
    return peak >= limit - limit / 8 || speaks_of_memory(end->tail);
}

/* Of librsvg, which is written in Rust: an assertion about what it read. Another attempt would end the same. */
static bool is_panic(const struct pool_child_end *end)
{
    return end->signal == SIGABRT && strstr(end->tail, "panicked at") != NULL;
}

static enum err died_of_signal(const struct pool_child_end *end, struct fault *ret)
{
    const char *name = sigabbrev_np(end->signal);
    unsigned long long peak = end->crash == NULL ? 0 : MIB(end->crash->peak_rss);
    char memory[48] = "";

    if (peak > 0)
        (void)snprintf(memory, sizeof memory, " (peak %llu MiB)", peak);
    return fault_set(ret, ERR_CRASHED, end->signal, "the renderer died of SIG%s%s%s%.100s",
                     name == NULL ? "?" : name, memory, end->tail[0] == '\0' ? "" : ": ",
                     end->tail);
}

enum err pool_verdict(const struct pool_child_end *end, uint64_t memory_limit,
                      struct fault *ret)
{
    if (end->signal == 0)
        return fault_set(ret, ERR_CRASHED, 0, "the renderer exited with status %lld%s%.120s",
                         (long long)end->status, end->tail[0] == '\0' ? "" : ": ", end->tail);
    if (is_out_of_memory(end, memory_limit))
        return fault_set(ret, ERR_CRASHED, end->signal,
                         "the renderer ran out of memory (limit %llu MiB, peak %llu MiB)",
                         MIB(memory_limit), MIB(end->crash->peak_vm));
    if (is_panic(end))
        return fault_set(ret, ERR_MALFORMED, SIGABRT,
                         "the image library gave up on the source: %.140s",
                         strstr(end->tail, "panicked at"));
    if (end->signal == SIGXCPU)
        return fault_set(ret, ERR_TOO_BIG, SIGXCPU,
                         "the order takes more processor time than it may (RENDER_CPU)");
    if (end->signal == SIGSYS)
        return fault_set(ret, ERR_CRASHED, SIGSYS,
                         "the renderer was killed at a forbidden system call");
    if (end->signal == SIGKILL)
        return fault_set(ret, ERR_CRASHED, SIGKILL,
                         "the renderer was killed from outside, perhaps because the machine "
                         "ran out of memory");
    return died_of_signal(end, ret);
}
