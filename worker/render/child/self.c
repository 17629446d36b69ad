#include "worker/render/child/self.h"

#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Freed pixels are kept for the next order up to here: to fault them in anew each time costs
 * a tenth of an ordinary order's processor time, a third of one with five outputs. */
#define KEEP_RSS (128ull << 20)

/* Process-wide, as what they tell about is. */
static int status_fd = -1;
static int peak_fd = -1;

void self_open(void)
{
    status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    peak_fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
}

void self_reset_peak(void)
{
    /* 5: reset the peak resident size (proc(5)). Without it the peak is of the whole life. */
    if (peak_fd >= 0 && write(peak_fd, "5", 1) != 1)
        peak_fd = -1;
}

/* The number of kB behind a name at the beginning of a line; by hand, for signal handlers. */
static uint64_t find_kb(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    uint64_t v = 0;

    if (at == NULL)
        return 0;
    at += strlen(name);
    while (*at == ' ' || *at == '\t')
        at++;
    while (*at >= '0' && *at <= '9')
        v = v * 10 + (uint64_t)(*at++ - '0');
    return v * 1024;
}

void self_read_memory(struct self_memory *ret)
{
    char text[4096];
    ssize_t n = status_fd < 0 ? -1 : pread(status_fd, text, sizeof text - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    ret->peak_vm = find_kb(text, "\nVmPeak:");
    ret->peak_rss = find_kb(text, "\nVmHWM:");
    ret->rss = find_kb(text, "\nVmRSS:");
}

uint64_t self_cpu_us(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void self_limit_cpu(uint64_t ms)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_CPU, &r) != 0)
        return;
    r.rlim_cur = ms == 0 ? r.rlim_max : (self_cpu_us() / 1000 + ms + 999) / 1000;
    (void)setrlimit(RLIMIT_CPU, &r);
}

unsigned self_count_threads(void)
{
    struct stat st;

    /* One link for each thread, and two of the directory's own. */
    if (stat("/proc/self/task", &st) != 0 || st.st_nlink < 3)
        return 0;
    return (unsigned)st.st_nlink - 2;
}

void self_tame_malloc(void)
{
    (void)mallopt(M_ARENA_MAX, 2); /* NOLINT(concurrency-mt-unsafe): before any thread */
}

void self_trim(void)
{
    struct self_memory mem;

    self_read_memory(&mem);
    if (mem.rss > KEEP_RSS)
        (void)malloc_trim(0);
}
