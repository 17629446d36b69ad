#include "cli/compose.h"

#include <errno.h>
#include <jansson.h>

#include "cli/recipe_book.h"

#define TEXT_MAX ((size_t)4 << 20) /* bytes of JSON that are read from a file */

/* --- JSON from a word, a file or standard input ---------------------------------------------- */

static bool read_all(FILE *f, struct buf *out)
{
    size_t n = 1;

    while (n > 0 && !buf_failed(out)) {
        char *to = buf_reserve(out, 65536);

        n = to == NULL ? 0 : fread(to, 1, 65536, f);
        if (n > 0)
            buf_commit(out, n);
    }
    return ferror(f) == 0;
}

static enum cli_exit read_file(const struct call *call, const char *path, struct buf *out)
{
    bool is_stdin = strcmp(path, "-") == 0, good;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    int number = errno;

    good = f != NULL && read_all(f, out);
    if (f != NULL && !good)
        number = errno;
    if (f != NULL && !is_stdin)
        (void)fclose(f);
    if (!good)
        return call_fail(call, CLI_FAILED, "%s: %s", path, err_errno(number));
    if (buf_failed(out))
        return call_fail(call, CLI_FAILED, "%s: more than %zu bytes", path, TEXT_MAX);
    return CLI_DONE;
}

/* what: in the words of whoever typed it. */
static enum cli_exit parse(const struct call *call, const char *what, struct slice text,
                           json_t **ret)
{
    json_error_t why;
    json_t *value =
        json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

    if (value == NULL)
        return call_fail(call, CLI_USAGE, "%s is not JSON: line %d, column %d: %s", what,
                         why.line, why.column, why.text);
    *ret = value;
    return CLI_DONE;
}

/* word: JSON, @FILE, or - for standard input. */
static enum cli_exit read_json(const struct call *call, const char *what, const char *word,
                               json_t **ret)
{
    AUTO(buf_done) struct buf text = {.limit = TEXT_MAX};
    enum cli_exit code = CLI_DONE;

    if (strcmp(word, "-") != 0 && word[0] != '@')
        return parse(call, what, slice_str(word), ret);
    code = read_file(call, word[0] == '@' ? word + 1 : word, &text);
    return code == CLI_DONE ? parse(call, what, buf_slice(&text), ret) : code;
}

enum cli_exit compose_json_text(const struct call *call, const char *what, const char *word,
                                struct buf *out)
{
    json_t *value = NULL;
    enum cli_exit code = read_json(call, what, word, &value);
    char *text = NULL;

    if (code == CLI_DONE) {
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_add_str(out, text == NULL ? "" : text);
        if (text == NULL || buf_failed(out))
            code = call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    }
    free(text);
    json_decref(value);
    return code;
}

/* --- args and follow-ups --------------------------------------------------------------------- */

static enum cli_exit name_source(const struct call *call, json_t *args,
                                 const struct uuid *upload)
{
    char id[UUID_TEXT_SIZE];

    if (!json_is_object(args) || json_object_get(args, "source") != NULL)
        return call_fail(call, CLI_USAGE,
                         "--upload: ARGS must be an object without \"source\"");
    if (json_object_set_new(args, "source",
                            json_pack("{s:s}", "upload", uuid_text(upload, id))) != 0)
        return call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    return CLI_DONE;
}

static enum cli_exit make_args(const struct call *call, const struct uuid *upload, json_t **ret)
{
    const char *word = call->n_words > 1 ? call->words[1] : "{}";
    enum cli_exit code = read_json(call, "ARGS", word, ret);

    if (code == CLI_DONE && upload != NULL)
        code = name_source(call, *ret, upload);
    return code;
}

/* What of a job is JSON by itself; owned. */
struct parts {
    json_t *args, *then, *chain, *retry;
};

static void parts_done(struct parts *p)
{
    json_decref(p->args);
    json_decref(p->then);
    json_decref(p->chain);
    json_decref(p->retry);
}

static enum cli_exit read_flag(const struct call *call, const char *flag, const char *word,
                               json_t **ret)
{
    return word == NULL ? CLI_DONE : read_json(call, flag, word, ret);
}

/* One follow-up, or one link, may stand without its brackets. */
static enum cli_exit read_list(const struct call *call, const char *flag, const char *word,
                               json_t **ret)
{
    enum cli_exit code = read_flag(call, flag, word, ret);

    if (code == CLI_DONE && json_is_object(*ret))
        *ret = json_pack("[o]", *ret);
    return code;
}

static enum cli_exit read_parts(const struct call *call, const struct uuid *upload,
                                struct parts *ret)
{
    enum cli_exit code = make_args(call, upload, &ret->args);

    if (code == CLI_DONE)
        code = read_list(call, "--then", call->flags->then, &ret->then);
    if (code == CLI_DONE)
        code = read_list(call, "--chain", call->flags->chain, &ret->chain);
    if (code == CLI_DONE)
        code = read_flag(call, "--retry", call->flags->retry, &ret->retry);
    return code;
}

/* --- the whole ------------------------------------------------------------------------------- */

static void put(json_t *root, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(root, key, value) != 0)
        *failed = true;
}

static void put_count(json_t *root, const char *key, uint64_t n, bool *failed)
{
    if (n > 0)
        put(root, key, json_integer((json_int_t)n), failed);
}

static json_t *make_unique(const struct flags *f, bool *failed)
{
    static const char *const policies[] = {
        [UNIQUE_REJECT] = "reject", [UNIQUE_KEEP] = "keep", [UNIQUE_REPLACE] = "replace"};
    json_t *unique = json_object();

    put(unique, "key", json_string(f->unique), failed);
    put(unique, "policy", json_string(policies[f->unique_policy]), failed);
    put_count(unique, "window_ms", f->unique_window_ms, failed);
    return unique;
}

static void put_text(json_t *root, const char *key, const char *text, bool *failed)
{
    if (text != NULL)
        put(root, key, json_string(text), failed);
}

static void put_part(json_t *root, const char *key, json_t *part, bool *failed)
{
    if (part != NULL)
        put(root, key, json_incref(part), failed);
}

/* NULL: no memory, or what was typed is not UTF-8. */
static char *write_job(const struct call *call, const struct parts *parts)
{
    const struct flags *f = call->flags;
    json_t *root = json_object();
    bool failed = false;
    char *text;

    put(root, "type", json_string(call->words[0]), &failed);
    put_part(root, "args", parts->args, &failed);
    put(root, "priority", json_string(job_priority_name((enum job_priority)f->priority)),
        &failed);
    put_text(root, "queue", f->queue, &failed);
    put_count(root, "max_attempts", f->max_attempts, &failed);
    put_count(root, "timeout_ms", f->timeout_ms, &failed);
    put_count(root, "delay_ms", f->delay_ms, &failed);
    put_text(root, "run_at", f->run_at, &failed);
    put_count(root, "expires_in_ms", f->expires_in_ms, &failed);
    put_text(root, "expires_at", f->expires_at, &failed);
    put_text(root, "key", f->key, &failed);
    if (f->unique != NULL)
        put(root, "unique", make_unique(f, &failed), &failed);
    put_part(root, "then", parts->then, &failed);
    put_part(root, "chain", parts->chain, &failed);
    put_part(root, "retry", parts->retry, &failed);
    text = failed ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

struct draft {
    const char *text;
    struct submission *ret;
    struct spec_fault why;
};

static enum err parse_draft(void *arg, struct recipe_book *book)
{
    struct draft *d = arg;

    return submission_parse_with(slice_str(d->text), JOB_DEPTH_MAX, book, d->ret, &d->why);
}

static enum cli_exit check(const struct call *call, const char *text, struct submission *ret)
{
    struct draft d = {.text = text, .ret = ret};
    enum err e = ERR_OK;
    enum cli_exit code = cli_recipes_once(call, parse_draft, &d, &e);

    if (e == ERR_OK || code != CLI_DONE)
        return code;
    return call_fail(call, CLI_FAILED, "the job is refused: %s%s%s", d.why.pointer,
                     d.why.pointer[0] == '\0' ? "" : " ", d.why.text);
}

enum cli_exit compose_text(const struct call *call, const struct uuid *upload, char **ret)
{
    struct parts parts = {.args = NULL};
    enum cli_exit code = read_parts(call, upload, &parts);

    if (code == CLI_DONE)
        *ret = write_job(call, &parts);
    parts_done(&parts);
    if (code == CLI_DONE && *ret == NULL)
        return call_fail(call, CLI_USAGE, "the job cannot be written: words must be UTF-8");
    return code;
}

enum cli_exit compose_job(const struct call *call, const struct uuid *upload,
                          struct submission *ret)
{
    char *text = NULL;
    enum cli_exit code = compose_text(call, upload, &text);

    if (code == CLI_DONE)
        code = check(call, text, ret);
    free(text);
    return code;
}
