#include "shared/failpoint.h"

#ifdef MILLRACE_FAILPOINTS

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "shared/slice.h"

#define POINTS_MAX 16

struct point {
    char name[48];
    char act[8];
    unsigned at;    /* strikes at this pass only; 0: at each */
    unsigned count; /* passes so far */
};

static struct {
    bool read;
    struct point points[POINTS_MAX];
    size_t n;
} table;

/* name=act or name=N*act */
static void add(struct slice text)
{
    struct point *p = &table.points[table.n];
    const char *eq = memchr(text.ptr, '=', text.len);
    const char *star;
    struct slice act;

    if (eq == NULL || table.n == POINTS_MAX)
        return;
    memset(p, 0, sizeof *p);
    act = slice_of(eq + 1, text.len - (size_t)(eq - text.ptr) - 1);
    star = memchr(act.ptr, '*', act.len);
    if (star != NULL) {
        p->at = (unsigned)strtoul(act.ptr, NULL, 10);
        act = slice_of(star + 1, act.len - (size_t)(star - act.ptr) - 1);
    }
    if (slice_to_cstr(slice_of(text.ptr, (size_t)(eq - text.ptr)), p->name, sizeof p->name) &&
        slice_to_cstr(act, p->act, sizeof p->act))
        table.n++;
}

static void read_table(void)
{
    struct slice rest = slice_str(getenv(
        "MILLRACE_FAILPOINTS")); /* NOLINT(concurrency-mt-unsafe): read at the first pass */

    table.read = true;
    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t n = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);

        add(slice_of(rest.ptr, n));
        n += comma != NULL;
        rest = slice_of(rest.ptr + n, rest.len - n);
    }
}

static void spin(void)
{
    for (volatile unsigned i = 0;; i++)
        continue;
}

static void hog(void)
{
    for (;;) {
        char *p = malloc(1 << 20);

        if (p == NULL)
            abort();
        memset(p, 1, 1 << 20);
    }
}

static void do_kill(void)
{
    (void)raise(SIGKILL);
}

static void do_segv(void)
{
    (void)raise(SIGSEGV);
}

static void do_pause(void)
{
    (void)raise(SIGSTOP);
}

static void do_exit(void)
{
    _exit(3);
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {{"kill", do_kill}, {"abort", abort}, {"segv", do_segv}, {"pause", do_pause},
            {"exit", do_exit}, {"spin", spin},   {"hog", hog}};

static enum err strike(const struct point *p)
{
    if (strcmp(p->act, "error") == 0)
        return ERR_IO;
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        if (strcmp(acts[i].name, p->act) == 0)
            acts[i].run();
    }
    return ERR_OK;
}

enum err failpoint_hit(const char *name)
{
    if (!table.read)
        read_table();
    for (size_t i = 0; i < table.n; i++) {
        struct point *p = &table.points[i];

        if (strcmp(p->name, name) != 0)
            continue;
        p->count++;
        if (p->at == 0 || p->at == p->count)
            return strike(p);
    }
    return ERR_OK;
}

#else
typedef int failpoint_empty; /* ISO C wants a translation unit to hold something */
#endif
