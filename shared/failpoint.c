#include "shared/failpoint.h"

#ifdef MILLRACE_FAILPOINTS

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "shared/slice.h"

#define POINTS_MAX 16

static enum err do_kill(void)
{
    (void)raise(SIGKILL);
    return ERR_OK;
}

static enum err do_abort(void)
{
    abort();
}

static enum err do_segv(void)
{
    (void)raise(SIGSEGV);
    return ERR_OK;
}

static enum err do_exit(void)
{
    _exit(3);
}

static enum err do_pause(void)
{
    (void)raise(SIGSTOP);
    return ERR_OK;
}

static enum err do_spin(void)
{
    volatile bool forever = true;

    while (forever)
        continue;
    return ERR_OK;
}

static char *volatile newest; /* a compiler may leave out memory that nobody can see */

static enum err do_hog(void)
{
    do {
        newest = malloc(1 << 20);
        if (newest != NULL)
            memset(newest, 1, 1 << 20); /* untouched memory costs nothing */
    } while (newest != NULL);
    abort();
}

static enum err do_error(void)
{
    return ERR_IO;
}

static const struct act {
    const char *name;
    enum err (*run)(void);
} acts[] = {
    {"kill", do_kill},   {"abort", do_abort}, {"segv", do_segv}, {"exit", do_exit},
    {"pause", do_pause}, {"spin", do_spin},   {"hog", do_hog},   {"error", do_error},
};

struct point {
    char name[64];
    const struct act *act;
    unsigned at;     /* strikes at this pass only; 0: at each */
    unsigned passes; /* so far */
};

static struct {
    pthread_mutex_t lock; /* pool threads pass points too */
    bool read;
    struct point points[POINTS_MAX];
    size_t n;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A test that misspells its order would pass for the wrong reason. */
_Noreturn static void reject(struct slice text)
{
    (void)fprintf(stderr, "MILLRACE_FAILPOINTS: cannot read \"" SLICE_FMT "\"\n",
                  SLICE_ARG(text));
    abort();
}

static const struct act *find_act(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        if (slice_is(name, acts[i].name))
            return &acts[i];
    }
    return NULL;
}

/* "3*": gives what follows. */
static struct slice read_pass(struct slice text, unsigned *ret_pass)
{
    const char *star = memchr(text.ptr, '*', text.len);
    size_t i = 0;

    *ret_pass = 0;
    if (star == NULL)
        return text;
    for (; text.ptr + i < star && text.ptr[i] >= '0' && text.ptr[i] <= '9' && i < 9; i++)
        *ret_pass = *ret_pass * 10 + (unsigned)(text.ptr[i] - '0');
    if (text.ptr + i != star || *ret_pass == 0)
        return slice_of(text.ptr, 0); /* no act is named so */
    return slice_of(star + 1, text.len - i - 1);
}

/* name=act or name=N*act */
static void add(struct slice text)
{
    const char *eq = memchr(text.ptr, '=', text.len);
    struct point *p = &table.points[table.n];
    size_t name_len = eq == NULL ? 0 : (size_t)(eq - text.ptr);

    if (name_len == 0 || table.n == POINTS_MAX ||
        !slice_to_cstr(slice_of(text.ptr, name_len), p->name, sizeof p->name))
        reject(text);
    p->passes = 0;
    p->act = find_act(read_pass(slice_of(eq + 1, text.len - name_len - 1), &p->at));
    if (p->act == NULL)
        reject(text);
    table.n++;
}

static void read_orders(const char *orders)
{
    struct slice rest = slice_str(orders);

    table.n = 0;
    table.read = true;
    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t n = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);

        add(slice_of(rest.ptr, n));
        n += comma != NULL;
        rest = slice_of(rest.ptr + n, rest.len - n);
    }
}

void failpoint_arm(const char *orders)
{
    must(pthread_mutex_lock(&table.lock) == 0);
    read_orders(orders);
    must(pthread_mutex_unlock(&table.lock) == 0);
}

/* Counts a pass; NULL: it goes on. */
static const struct act *pass(const char *name)
{
    for (size_t i = 0; i < table.n; i++) {
        struct point *p = &table.points[i];

        if (strcmp(p->name, name) != 0)
            continue;
        p->passes++;
        if (p->at == 0 || p->at == p->passes)
            return p->act;
    }
    return NULL;
}

enum err failpoint_hit(const char *name)
{
    const struct act *act;

    must(pthread_mutex_lock(&table.lock) == 0);
    if (!table.read) /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment */
        read_orders(getenv("MILLRACE_FAILPOINTS"));
    act = pass(name);
    must(pthread_mutex_unlock(&table.lock) == 0);
    return act == NULL ? ERR_OK : act->run();
}

#else
typedef int failpoint_empty; /* ISO C wants a translation unit to hold something */
#endif
