#include "worker/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAGIC   0x6d72666c69676874ull /* "mrflight" */
#define FILE_VERSION 1u

struct record {
    uint32_t busy, attempt;
    uint8_t id[UUID_LEN];
    char queue[JOB_NAME_MAX + 8];
};

/* As it lies in the file. Written by one process, read by its successor on the same machine. */
struct tape {
    uint64_t magic;
    uint32_t version, open; /* open: not closed by a clean end */
    volatile sig_atomic_t signal;
    uint32_t pid;
    uint64_t peak_kb;
    struct record jobs[FLIGHT_JOBS_MAX];
};

struct flight {
    struct tape *tape;
    char *path;
    size_t next; /* where a free place is looked for first */
};

/* --- fatal signals --------------------------------------------------------------------------- */

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

/* The one thing that a signal handler can reach. */
static _Atomic(struct tape *) running_tape;

static void on_fatal(int number)
{
    struct tape *t = atomic_load(&running_tape);

    if (t != NULL)
        t->signal = number;
    /* The default is back in force (SA_RESETHAND): it dies of the same. */
    (void)raise(number);
}

/* Where a sanitizer has put a handler of its own it stays. */
static void catch_fatal(void)
{
    struct sigaction act = {.sa_handler = on_fatal,
                            .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    struct sigaction before;

    (void)sigemptyset(&act.sa_mask);
    for (size_t i = 0; i < COUNT_OF(fatal); i++) {
        if (sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            (void)sigaction(fatal[i], &act, NULL);
    }
}

/* --- what a predecessor has left ------------------------------------------------------------- */

static unsigned count_busy(const struct tape *t)
{
    unsigned n = 0;

    for (size_t i = 0; i < FLIGHT_JOBS_MAX; i++)
        n += t->jobs[i].busy == 1;
    return n;
}

static void describe(const struct tape *t, unsigned busy, char *dst, size_t cap)
{
    const char *name = t->signal > 0 ? sigabbrev_np(t->signal) : NULL;
    char how[64];

    if (name != NULL)
        (void)snprintf(how, sizeof how, "died of SIG%s", name);
    else if (t->signal > 0)
        (void)snprintf(how, sizeof how, "died of signal %d", (int)t->signal);
    else
        (void)snprintf(how, sizeof how, "was killed (SIGKILL, or the machine stopped)");
    (void)snprintf(dst, cap, "the worker %s with this job; memory peak %llu MiB, %u job%s held",
                   how, (unsigned long long)(t->peak_kb / 1024), busy, busy == 1 ? "" : "s");
}

static void tell_all(const struct tape *t, flight_crash_fn *tell, void *arg)
{
    unsigned busy = count_busy(t);
    char text[200];

    describe(t, busy, text, sizeof text);
    for (size_t i = 0; i < FLIGHT_JOBS_MAX; i++) {
        const struct record *r = &t->jobs[i];
        struct flight_crash crash = {.queue = r->queue, .attempt = r->attempt, .text = text};

        if (r->busy != 1 || memchr(r->queue, '\0', sizeof r->queue) == NULL ||
            !job_name_is_valid(slice_str(r->queue)))
            continue;
        memcpy(crash.id.bytes, r->id, UUID_LEN);
        tell(arg, &crash);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static enum err map_file(const char *path, struct tape **ret, struct fault *reterr)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    void *at;
    int number;

    if (fd < 0)
        return fault_set(reterr, ERR_IO, errno, "open %s: %s", path, err_errno(errno));
    number = ftruncate(fd, sizeof(struct tape)) != 0 ? errno : 0;
    if (number == 0)
        number = posix_fallocate(fd, 0, sizeof(struct tape));
    if (number != 0) {
        (void)close(fd);
        return fault_set(reterr, ERR_IO, number, "%s: %s", path, err_errno(number));
    }
    at = mmap(NULL, sizeof(struct tape), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    number = errno;
    (void)close(fd);
    if (at == MAP_FAILED)
        return fault_set(reterr, ERR_IO, number, "mmap %s: %s", path, err_errno(number));
    *ret = at;
    return ERR_OK;
}

static struct flight *flight_new(const char *path, struct tape *tape)
{
    struct flight *f = calloc(1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->tape = tape;
    f->path = strdup(path);
    if (f->path != NULL)
        return f;
    free(f);
    return NULL;
}

enum err flight_open(const char *path, flight_crash_fn *tell, void *arg, struct flight **ret,
                     struct fault *reterr)
{
    struct tape *tape = NULL;
    enum err e = map_file(path, &tape, reterr);
    struct flight *f;

    if (e != ERR_OK)
        return e;
    must(tape != NULL);
    f = flight_new(path, tape);
    if (f == NULL) {
        (void)munmap(tape, sizeof *tape);
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the flight recorder");
    }
    if (tape->magic == FILE_MAGIC && tape->version == FILE_VERSION && tape->open == 1)
        tell_all(tape, tell, arg);
    memset(tape, 0, sizeof *tape);
    tape->magic = FILE_MAGIC;
    tape->version = FILE_VERSION;
    tape->pid = (uint32_t)getpid();
    tape->open = 1;
    flight_tick(f);
    atomic_store(&running_tape, tape);
    catch_fatal();
    *ret = f;
    return ERR_OK;
}

int flight_begin(struct flight *f, const char *queue, const struct uuid *id, uint32_t attempt)
{
    for (size_t n = 0; n < FLIGHT_JOBS_MAX; n++) {
        size_t at = (f->next + n) % FLIGHT_JOBS_MAX;
        struct record *r = &f->tape->jobs[at];

        if (r->busy != 0)
            continue;
        r->attempt = attempt;
        memcpy(r->id, id->bytes, UUID_LEN);
        (void)slice_to_cstr(slice_str(queue), r->queue, sizeof r->queue);
        atomic_signal_fence(memory_order_release);
        r->busy = 1;
        f->next = at + 1;
        return (int)at;
    }
    return -1;
}

void flight_end(struct flight *f, int place)
{
    if (place < 0)
        return;
    f->tape->jobs[place].busy = 0;
    f->next = (size_t)place;
}

void flight_tick(struct flight *f)
{
    struct rusage use;

    if (getrusage(RUSAGE_SELF, &use) == 0)
        f->tape->peak_kb = (uint64_t)use.ru_maxrss;
}

void flight_close(struct flight **f)
{
    if (*f == NULL)
        return;
    atomic_store(&running_tape, NULL);
    (*f)->tape->open = 0;
    (void)munmap((*f)->tape, sizeof(struct tape));
    (void)unlink((*f)->path);
    free((*f)->path);
    free(*f);
    *f = NULL;
}
