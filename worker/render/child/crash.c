#include "worker/render/child/crash.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "worker/render/child/self.h"
#include "worker/render/wire.h"

/* Room for the handler when the stack itself is what overflowed. */
#define STACK_SIZE 65536

static int crash_fd = -1;

static void on_signal(int sig)
{
    uint8_t frame[WIRE_CRASH_SIZE];
    struct self_memory mem;
    struct wire_crash m = {.signal = (uint32_t)sig};
    size_t len;

    self_read_memory(&mem);
    m.peak_vm = mem.peak_vm;
    m.peak_rss = mem.peak_rss;
    len = wire_put_crash(frame, &m);
    if (write(crash_fd, frame, len) < 0)
        crash_fd = -1;
    /* SA_RESETHAND has put the default action back; raise() is held until the handler returns. */
    (void)raise(sig);
}

void crash_catch(int fd)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGILL, SIGFPE};
    static char stack[STACK_SIZE];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_ONSTACK};

    crash_fd = fd;
    (void)sigaltstack(&alt, NULL);
    (void)sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        (void)sigaction(signals[i], &sa, NULL);
}
