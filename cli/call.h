/* call: one run of one command: what it was asked, and where it tells the answer.
 *
 * The answer grows in call->text and goes out whole, at the end or by call_flush(). What is not
 * the answer (errors, progress, hints) goes to call->err. */
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include "cli/flags.h"
#include "cli/options.h"
#include "cli/table.h"

struct call {
    const struct options *options;
    const struct flags *flags;
    char *const *words; /* what stood behind the command, flags taken out */
    size_t n_words;

    FILE *out, *err;
    bool json;
    bool terminal, bold; /* of out */
    bool err_terminal;
    uint64_t now_ms; /* Unix time when the command began: ages count from here */
    struct buf text;
};

void call_init(struct call *call, FILE *out, FILE *err);
void call_done(struct call *call);

/* Writes "millrace: ..." to err, made safe for a terminal. Gives code. */
enum cli_exit call_fail(const struct call *call, enum cli_exit code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The same, for what does not end the command. */
void call_note(const struct call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Writes text out and empties it. A reader that went away is no failure worth a word. */
MUST_USE enum cli_exit call_flush(struct call *call);

/* A time: its age on a terminal, else in full; nothing for 0. */
void call_add_time(const struct call *call, uint64_t ms, struct table *t);
void call_print_table(struct call *call, const struct table *t);

#endif
