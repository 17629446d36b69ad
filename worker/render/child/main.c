/* millrace-render: started by millrace-worker, in a directory of its own, with its end of a
 * socket as standard input. It starts the image library, locks itself in, says hello, and
 * serves. */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vips/vips.h>

#include <vips/vector.h> /* needs vips.h before it */

#include "shared/failpoint.h"
#include "worker/render/child/crash.h"
#include "worker/render/child/decode.h"
#include "worker/render/child/fonts.h"
#include "worker/render/child/sandbox.h"
#include "worker/render/child/self.h"
#include "worker/render/child/session.h"
#include "worker/render/child/warmup.h"

#define PIPE_FD    STDIN_FILENO
#define OUTPUT_MAX (512ull << 20) /* of one file */

/* LeakSanitizer would ptrace this process at its end, which the sandbox forbids. */
const char *__asan_default_options(void); /* NOLINT(readability-identifier-naming): its own */
const char *__asan_default_options(void)  /* NOLINT(readability-identifier-naming) */
{
    return "detect_leaks=0:handle_segv=0:handle_abort=0:handle_sigbus=0";
}

static int fail_start(const struct fault *why)
{
    (void)fprintf(stderr, "millrace-render: %s\n", why->text);
    return EXIT_FAILURE;
}

/* Nothing of the worker's may be left open, and nothing of this may outlive it. */
static void cut_ties(void)
{
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) != 0) {
        for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
            (void)close(fd);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* too large a file is an error of write() */
}

/* A damaged file is good for one warning a row; only what kills the process is worth a line. */
static void on_log(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer arg)
{
    (void)arg;
    if ((level & (G_LOG_FLAG_FATAL | G_LOG_LEVEL_ERROR)) != 0)
        (void)fprintf(stderr, "%s: %s\n", domain == NULL ? "glib" : domain, text);
}

/* Before 8.15, libvips had its vectors from ORC, which makes code while it runs; and no
 * memory may become code here. That costs Debian 12's library half its speed in resizes.
 * Operations compile their programs even when vectors are off, so ORC must be told too. The
 * pinned library has no ORC. */
static void stop_orc(void)
{
#if !VIMAGE_815
    (void)setenv("ORC_CODE", "emulate",
                 1); /* NOLINT(concurrency-mt-unsafe): one thread as yet */
#endif
}

static enum err start_vips(const char *program, bool svg, struct fault *reterr)
{
    g_log_set_default_handler(on_log, NULL);
    stop_orc();
    if (VIPS_INIT(program) != 0)
        return fault_set(reterr, ERR_INTERNAL, 0, "libvips does not start: %s",
                         vips_error_buffer());
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_cache_set_max_mem(0);
    vips_cache_set_max_files(0);
#if !VIMAGE_815
    vips_vector_set_enabled(FALSE);
#endif
    decode_allow_list(svg);
    warmup_plugins();
    return ERR_OK;
}

/* Landlock holds the calling thread and those that it starts, so it must come before all
 * others. */
static enum err lock_files(const char *fonts, uint32_t *ret_abi, struct fault *reterr)
{
#if !defined(__SANITIZE_THREAD__)
    unsigned threads = self_count_threads();

    if (threads > 1)
        return fault_set(reterr, ERR_INTERNAL, 0,
                         "libvips has started %u threads before the sandbox", threads - 1);
#endif
    return sandbox_files(".", fonts, ret_abi, reterr);
}

static enum err start(const char *program, const struct sandbox_limits *limits,
                      const char *fonts, bool svg, uint32_t *ret_abi, struct fault *reterr)
{
    enum err e;

    self_tame_malloc();
    self_open();
    e = fonts_prepare(fonts, reterr);
    if (e == ERR_OK)
        e = start_vips(program, svg, reterr);
    if (e == ERR_OK)
        e = lock_files(fonts, ret_abi, reterr);
    if (e == ERR_OK)
        e = sandbox_limits(limits, reterr);
    if (e == ERR_OK)
        e = warmup_codecs(svg, reterr);
    fonts_warm_up();
    if (e == ERR_OK)
        e = sandbox_calls(reterr);
    return e;
}

static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int usage(void)
{
    (void)fputs("millrace-render is started by millrace-worker, as: millrace-render <bytes of "
                "memory> [<directory of fonts> [svg]]\n",
                stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct sandbox_limits limits = {.file_bytes = OUTPUT_MAX};
    struct wire_hello hello = {.version = WIRE_VERSION};
    struct fault why = {0};

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("millrace-render %s (libvips %s)\n", MILLRACE_VERSION,
                     vips_version_string());
        return EXIT_SUCCESS;
    }
    if (argc < 2 || argc > 4 || !is_socket(PIPE_FD))
        return usage();
    limits.memory_bytes = strtoull(argv[1], NULL, 10);
    cut_ties();
    if (start(argv[0], &limits, argc > 2 ? argv[2] : "",
              argc > 3 && strcmp(argv[3], "svg") == 0, &hello.landlock, &why) != ERR_OK)
        return fail_start(&why);
    crash_catch(PIPE_FD);
    (void)snprintf(hello.vips, sizeof hello.vips, "%s", vips_version_string());
    FAILPOINT("render.start");
    if (session_hello(PIPE_FD, &hello) != ERR_OK || session_run(PIPE_FD) != ERR_OK)
        return EXIT_FAILURE;
    /* No shutdown of the library: the memory goes with the process. */
    _exit(EXIT_SUCCESS);
}
