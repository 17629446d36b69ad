#include "cli/send_file.h"

#include <errno.h>
#include <inttypes.h>

#include "cli/recipe_book.h"
#include "queue/submission.h"
#include "shared/json.h"
#include "shared/ndjson.h"

#define WINDOW    2048 /* jobs on their way at once */
#define PIECE     ((size_t)64 * 1024)
#define TEXT_FULL ((size_t)64 * 1024)

struct sheet {
    struct call *call;
    struct client *client;
    struct producer *producer;
    struct cli_recipes recipes;
    struct ndjson in;
    FILE *file;
    uint64_t in_flight, taken, refused;
    enum err err; /* Redis cannot: the first reason */
    bool waiting; /* client_wait() runs */
    bool cut;     /* a recipe cannot be looked up: no more lines are taken */
};

struct row {
    struct sheet *sheet;
    struct submission job;
    uint64_t line;
};

/* --- telling ------------------------------------------------------------------------------------ */

static void tell_taken(struct sheet *s, uint64_t line, const struct producer_verdict *v)
{
    struct buf *out = &s->call->text;
    char id[UUID_TEXT_SIZE];

    s->taken++;
    (void)uuid_text(&v->id, id);
    if (s->call->json)
        buf_addf(out, "{\"line\":%" PRIu64 ",\"id\":\"%s\"%s}\n", line, id,
                 v->code == PRODUCER_KEPT       ? ",\"kept\":true"
                 : v->code == PRODUCER_REPLACED ? ",\"replaced\":true"
                                                : "");
    else
        buf_addf(out, "%s\n", id);
}

static void tell_refused(struct sheet *s, uint64_t line, const char *pointer, const char *why)
{
    s->refused++;
    call_note(s->call, "line %" PRIu64 " is refused: %s%s%s", line, pointer,
              pointer[0] == '\0' ? "" : " ", why);
    if (!s->call->json)
        return;
    buf_addf(&s->call->text, "{\"line\":%" PRIu64 ",\"error\":", line);
    json_quote(slice_str(why), &s->call->text);
    buf_add_str(&s->call->text, "}\n");
}

/* --- sending ------------------------------------------------------------------------------------ */

static void on_judged(void *arg, enum err e, const struct producer_verdict *v,
                      const struct fault *why)
{
    struct row *row = arg;
    struct sheet *s = row->sheet;

    s->in_flight--;
    if (e == ERR_OK)
        tell_taken(s, row->line, v);
    else if (v != NULL)
        tell_refused(s, row->line, "", why->text);
    else if (s->err == ERR_OK)
        s->err = e;
    submission_done(&row->job);
    free(row);
    if (s->waiting && (s->in_flight == 0 || (s->in_flight < WINDOW / 2 && s->err == ERR_OK)))
        client_answered(s->client, ERR_OK);
}

static enum err submit(struct sheet *s, struct row *row)
{
    struct producer_job job = submission_job(&row->job);
    enum err e = producer_submit(s->producer, &job, on_judged, row);

    if (e == ERR_OK) {
        s->in_flight++;
        return ERR_OK;
    }
    submission_done(&row->job);
    free(row);
    return e;
}

struct draft {
    struct slice text;
    struct row *row;
    struct spec_fault why;
};

static enum err parse_draft(void *arg, struct recipe_book *book)
{
    struct draft *d = arg;

    return submission_parse_with(d->text, JOB_DEPTH_MAX, book, &d->row->job, &d->why);
}

/* A code of its own only where PostgreSQL cannot be asked for a recipe. */
static enum cli_exit take_line(struct sheet *s, struct slice text)
{
    struct draft d = {.text = text, .row = calloc(1, sizeof *d.row)};
    enum err e = ERR_NOMEM;
    enum cli_exit code = CLI_DONE;

    if (d.row != NULL) {
        d.row->sheet = s;
        d.row->line = s->in.line;
        code = cli_recipes_try(&s->recipes, parse_draft, &d, &e);
        s->cut = code != CLI_DONE;
    }
    if (code == CLI_DONE && e == ERR_OK) {
        s->err = submit(s, d.row);
        return CLI_DONE;
    }
    free(d.row);
    if (code == CLI_DONE && e == ERR_NOMEM)
        s->err = e;
    else if (code == CLI_DONE)
        tell_refused(s, s->in.line, d.why.pointer, d.why.text);
    return code;
}

/* Until there is room for more, or nothing is on its way; tells what has become known. */
static enum cli_exit wait_for(struct sheet *s, uint64_t at_most)
{
    enum err e = ERR_OK;

    if (s->in_flight > at_most) {
        s->waiting = true;
        e = client_wait(s->client, ERR_OK);
        s->waiting = false;
    }
    if (s->err == ERR_OK)
        s->err = e;
    return s->call->text.len >= TEXT_FULL ? call_flush(s->call) : CLI_DONE;
}

static enum cli_exit take_lines(struct sheet *s)
{
    enum cli_exit code = CLI_DONE, more;
    struct slice text;

    while (code == CLI_DONE && s->err == ERR_OK && !client_gave_up(s->client)) {
        switch (ndjson_next(&s->in, &text)) {
        case NDJSON_MORE:
            return CLI_DONE;
        case NDJSON_TOO_LONG:
            tell_refused(s, s->in.line, "", "the line is too long");
            break;
        case NDJSON_LINE:
            code = take_line(s, text);
            break;
        }
        more = wait_for(s, WINDOW);
        code = code == CLI_DONE ? more : code;
    }
    return code;
}

static enum cli_exit read_all(struct sheet *s)
{
    enum cli_exit code = CLI_DONE;
    char *piece = malloc(PIECE);
    size_t n = 1;

    while (piece != NULL && n > 0 && code == CLI_DONE && s->err == ERR_OK &&
           !client_gave_up(s->client)) {
        n = fread(piece, 1, PIECE, s->file);
        if (!ndjson_feed(&s->in, slice_of(piece, n)))
            s->err = ERR_NOMEM;
        if (n == 0)
            ndjson_end(&s->in);
        code = take_lines(s);
    }
    if (piece == NULL)
        s->err = ERR_NOMEM;
    free(piece);
    while (s->in_flight > 0 && !client_gave_up(s->client)) {
        enum cli_exit more = wait_for(s, 0);

        code = code == CLI_DONE ? more : code;
    }
    return code;
}

static enum cli_exit stopped(struct sheet *s, enum cli_exit code)
{
    call_note(s->call, "%" PRIu64 " jobs were taken for certain", s->taken);
    return code;
}

static enum cli_exit sum_up(struct sheet *s, enum cli_exit code, const char *path)
{
    if (code == CLI_DONE && s->err != ERR_OK)
        code = client_redis_failed(s->client, s->err);
    if (s->err != ERR_OK || s->cut)
        return stopped(s, code);
    if (code != CLI_DONE)
        return code;
    if (ferror(s->file) != 0)
        return call_fail(s->call, CLI_FAILED, "%s: %s", path, err_errno(errno));
    if (s->refused > 0)
        return call_fail(s->call, CLI_FAILED, "%" PRIu64 " jobs taken, %" PRIu64 " refused",
                         s->taken, s->refused);
    return CLI_DONE;
}

enum cli_exit send_file(struct call *call, struct client *client, const char *path)
{
    struct sheet s = {.call = call, .client = client, .in = {.max = JOB_ITEM_MAX}};
    bool is_stdin = strcmp(path, "-") == 0;
    enum cli_exit code;

    s.file = is_stdin ? stdin : fopen(path, "re");
    if (s.file == NULL)
        return call_fail(call, CLI_FAILED, "%s: %s", path, err_errno(errno));
    cli_recipes_init(&s.recipes, call, client);
    code = client_producer(client, 2 * (size_t)WINDOW, &s.producer);
    if (code == CLI_DONE) {
        code = read_all(&s);
        client_producer_done(client);
        code = sum_up(&s, code, path);
    }
    cli_recipes_done(&s.recipes);
    ndjson_done(&s.in);
    if (!is_stdin)
        (void)fclose(s.file);
    return code;
}
