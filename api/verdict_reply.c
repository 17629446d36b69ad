#include "api/verdict_reply.h"

#include <inttypes.h>

#include "api/reply.h"
#include "shared/json.h"

#define DETAIL_SIZE 400
#define JOB_SIZE    320 /* what most of these answers need */

static unsigned fault_status(const struct fate *f)
{
    if (err_class(f->err) == ERR_CLASS_RETRY)
        return 503;
    if (f->err == ERR_TOO_BIG)
        return 413;
    return f->fault->pointer[0] == '\0' ? 400 : 422;
}

unsigned fate_status(const struct fate *f)
{
    if (f->fault != NULL)
        return fault_status(f);
    if (f->verdict == NULL)
        return f->err == ERR_OK ? 202 : 503;
    switch (f->verdict->code) {
    case PRODUCER_TAKEN:
    case PRODUCER_REPLACED:
        return 202;
    case PRODUCER_KEPT:
        return 200;
    case PRODUCER_HELD:
        return 409;
    case PRODUCER_FULL:
        return 429;
    case PRODUCER_OTHER:
        return 422;
    }
    return 503;
}

bool fate_is_refusal(const struct fate *f)
{
    return f->fault != NULL || (f->verdict != NULL && f->err != ERR_OK);
}

static const struct uuid *id_of(const struct fate *f)
{
    return f->verdict != NULL ? &f->verdict->id : &f->job->id;
}

const char *fate_location(const struct fate *f, char dst[FATE_LOCATION_SIZE])
{
    static const char head[] = "/v1/jobs/";

    memcpy(dst, head, sizeof head - 1);
    (void)uuid_text(id_of(f), dst + sizeof head - 1);
    return dst;
}

static bool is_code(const struct fate *f, enum producer_code code)
{
    return f->verdict != NULL && f->verdict->code == code;
}

/* Of a job that was kept only the id and the queue are known here. */
void fate_add_job(const struct fate *f, struct buf *out)
{
    const struct submission *s = f->job;
    char id[UUID_TEXT_SIZE];

    (void)uuid_text(id_of(f), id);
    (void)buf_reserve(out, JOB_SIZE);
    BUF_ADD_STRS(out, "{\"id\":\"", id, "\",");
    if (is_code(f, PRODUCER_KEPT))
        BUF_ADD_STRS(out, "\"kept\":true,\"queue\":\"", s->queue, "\",");
    else
        BUF_ADD_STRS(out, "\"state\":\"", job_state_name(submission_state(s)), "\",\"type\":\"",
                     s->type->name, "\",\"queue\":\"", s->queue, "\",\"priority\":\"",
                     job_priority_name(s->priority), "\",");
    BUF_ADD_STRS(out, is_code(f, PRODUCER_REPLACED) ? "\"replaced\":true," : "",
                 "\"url\":\"/v1/jobs/", id, "\"}");
}

/* --- refusals ----------------------------------------------------------------------------------- */

static void tell_detail(const struct fate *f, char dst[DETAIL_SIZE])
{
    const struct producer_verdict *v = f->verdict;
    char id[UUID_TEXT_SIZE];

    if (f->fault != NULL)
        (void)snprintf(dst, DETAIL_SIZE, "%s%s%s", f->fault->pointer,
                       f->fault->pointer[0] == '\0' ? "" : " ", f->fault->text);
    else if (v != NULL && v->code == PRODUCER_HELD)
        (void)snprintf(dst, DETAIL_SIZE, "the unique key is held by job %s",
                       uuid_text(&v->id, id));
    else if (v != NULL && v->code == PRODUCER_FULL)
        (void)snprintf(dst, DETAIL_SIZE,
                       "queue %s has reached its cap on %s: %" PRIu64 " of %" PRIu64,
                       f->job->queue, v->cap, v->has, v->may);
    else if (v != NULL)
        (void)snprintf(dst, DETAIL_SIZE,
                       "this Idempotency-Key has been used for another job in its place");
    else if (f->err == ERR_UNREACHABLE || f->err == ERR_TIMEOUT)
        (void)snprintf(dst, DETAIL_SIZE,
                       "the queue was cut off while it took the job; it may have been taken: "
                       "%s; try again in a moment",
                       err_text(f->err));
    else
        (void)snprintf(dst, DETAIL_SIZE,
                       "the queue does not take jobs now: %s; try again in a moment",
                       err_text(f->err));
}

/* What a program wants to know beside the text; each begins with a comma. */
static void add_particulars(const struct fate *f, struct buf *out)
{
    const struct producer_verdict *v = f->verdict;
    char id[UUID_TEXT_SIZE];

    if (is_code(f, PRODUCER_HELD))
        buf_addf(out, ",\"job\":\"%s\"", uuid_text(&v->id, id));
    else if (is_code(f, PRODUCER_FULL))
        buf_addf(out,
                 ",\"cap\":\"%s\",\"has\":%" PRIu64 ",\"may\":%" PRIu64 ",\"retry_after\":%u",
                 v->cap, v->has, v->may, v->wait_s);
}

void fate_add_members(const struct fate *f, struct buf *out)
{
    unsigned status = fate_status(f);
    char id[UUID_TEXT_SIZE], detail[DETAIL_SIZE];

    buf_addf(out, "\"status\":%u", status);
    if (status < 300) {
        buf_addf(out, ",\"id\":\"%s\"", uuid_text(id_of(f), id));
        if (is_code(f, PRODUCER_KEPT))
            buf_add_str(out, ",\"kept\":true");
        else if (is_code(f, PRODUCER_REPLACED))
            buf_add_str(out, ",\"replaced\":true");
        if (f->verdict != NULL && f->verdict->again)
            buf_add_str(out, ",\"replayed\":true");
        return;
    }
    tell_detail(f, detail);
    buf_add_str(out, ",\"error\":{");
    if (status == 422 && f->fault != NULL) {
        buf_add_str(out, "\"pointer\":");
        json_quote(slice_str(f->fault->pointer), out);
        buf_add_char(out, ',');
    }
    buf_add_str(out, "\"detail\":");
    json_quote(slice_str(detail), out);
    add_particulars(f, out);
    buf_add_char(out, '}');
}

void fate_reply_problem(struct request *rq, const struct fate *f)
{
    AUTO(buf_done) struct buf body = {0};
    struct reply r = {.status = fate_status(f), .content_type = "application/problem+json"};
    char detail[DETAIL_SIZE], seconds[16] = "1";

    tell_detail(f, detail);
    reply_problem_body(r.status, r.status == 422 && f->fault != NULL ? f->fault->pointer : NULL,
                       detail, &body);
    if (body.len > 0 && f->verdict != NULL) {
        buf_truncate(&body, body.len - 1);
        add_particulars(f, &body);
        buf_add_char(&body, '}');
    }
    r.body = buf_slice(&body);
    if (is_code(f, PRODUCER_FULL))
        (void)snprintf(seconds, sizeof seconds, "%u", f->verdict->wait_s);
    if (r.status == 503 || r.status == 429)
        r.headers[r.n_headers++] = (struct reply_header){"retry-after", seconds};
    reply_send(rq, &r);
}
