#include "cli/call.h"

#include <errno.h>
#include <unistd.h>

#include "cli/text.h"
#include "shared/clock.h"

static bool is_terminal(FILE *f)
{
    int fd = fileno(f);

    return fd >= 0 && isatty(fd) == 1;
}

static bool has_bold(void)
{
    const char *term = secure_getenv("TERM"), *no = secure_getenv("NO_COLOR");

    return term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0 &&
           (no == NULL || no[0] == '\0');
}

void call_init(struct call *call, FILE *out, FILE *err)
{
    *call = (struct call){.out = out, .err = err, .now_ms = clock_wall_ms()};
    call->terminal = is_terminal(out);
    call->err_terminal = is_terminal(err);
    call->bold = call->terminal && has_bold();
}

void call_done(struct call *call)
{
    buf_done(&call->text);
}

static void say(const struct call *call, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

static void say(const struct call *call, const char *fmt, va_list ap)
{
    AUTO(buf_done) struct buf raw = {0};
    AUTO(buf_done) struct buf safe = {0};

    buf_vaddf(&raw, fmt, ap);
    text_safe(buf_slice(&raw), &safe);
    (void)fprintf(call->err, "millrace: %s\n",
                  buf_failed(&safe) ? err_text(ERR_NOMEM) : buf_cstr(&safe));
}

enum cli_exit call_fail(const struct call *call, enum cli_exit code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(call, fmt, ap);
    va_end(ap);
    return code;
}

void call_note(const struct call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(call, fmt, ap);
    va_end(ap);
}

enum cli_exit call_flush(struct call *call)
{
    bool wrote;

    if (buf_failed(&call->text))
        return call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    errno = 0;
    wrote = fwrite(buf_cstr(&call->text), 1, call->text.len, call->out) == call->text.len;
    wrote = fflush(call->out) == 0 && wrote;
    buf_clear(&call->text);
    if (wrote)
        return CLI_DONE;
    if (errno == EPIPE)
        return CLI_FAILED;
    return call_fail(call, CLI_FAILED, "the answer cannot be written: %s", err_errno(errno));
}

void call_add_time(const struct call *call, uint64_t ms, struct table *t)
{
    AUTO(buf_done) struct buf age = {0};
    char full[CLOCK_RFC3339_SIZE];

    if (ms > 0 && call->terminal)
        text_age(ms, call->now_ms, &age);
    else if (ms > 0)
        buf_add_str(&age, clock_rfc3339(ms, full));
    table_add(t, buf_slice(&age));
}

void call_print_table(struct call *call, const struct table *t)
{
    table_print(t, call->bold, &call->text);
}
