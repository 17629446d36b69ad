#include "cli/run.h"

#include "cli/arguments.h"
#include "cli/help.h"

static enum cli_exit load(const struct arguments *a, struct call *call, struct options *opt)
{
    enum cfg_verdict v =
        cfg_load_to(call->out, call->err, &options_spec, a->n_settings, a->settings, opt);

    if (v == CFG_GO)
        log_setup(options_spec.program, (enum log_level)opt->log_level, LOG_FORMAT_AUTO);
    return v == CFG_EXIT_BAD ? CLI_CONFIG : CLI_DONE;
}

/* A command that failed may have told a part; JSON is told whole or not at all. */
static enum cli_exit run_command(const struct command *c, struct call *call)
{
    enum cli_exit code = c->run(call), flushed = CLI_DONE;

    if (call->text.len > 0 || buf_failed(&call->text))
        flushed = call_flush(call);
    return code != CLI_DONE ? code : flushed;
}

static enum cli_exit run_with_settings(const struct arguments *a, struct call *call)
{
    struct options opt = {.redis_url = NULL};
    enum cli_exit code = load(a, call, &opt);

    if (code != CLI_DONE || a->check)
        return code;
    must(a->command != NULL); /* arguments_read() saw to it */
    call->options = &opt;
    code = run_command(a->command, call);
    cfg_done(&options_spec, &opt);
    return code;
}

static enum cli_exit answer(const struct arguments *a, struct call *call)
{
    call->flags = &a->flags;
    call->words = a->words;
    call->n_words = a->n_words;
    call->json = a->json;
    if (a->help) {
        help_print(a->command, call->bold, &call->text);
        return call_flush(call);
    }
    if (a->version)
        return run_command(&command_version, call);
    if (a->command != NULL && a->command->bare && !a->check)
        return run_command(a->command, call);
    return run_with_settings(a, call);
}

enum cli_exit cli_run(int argc, char **argv, FILE *out, FILE *err)
{
    struct arguments args;
    struct call call;
    enum cli_exit code = arguments_read(argc, argv, err, &args);

    call_init(&call, out, err);
    if (code == CLI_DONE)
        code = answer(&args, &call);
    call_done(&call);
    arguments_done(&args);
    return code;
}
