#include "cli/send.h"

#include <inttypes.h>

#include "cli/once.h"

/* So many wait for Redis at once: enough to fill its calls, few enough to stop soon. */
#define WINDOW 2048

struct sending;

struct parcel {
    struct sending *sending;
    struct uuid id;
};

struct sending {
    struct call *call;
    const struct send_order *order;
    struct producer *producer;
    struct parcel *parcels;
    uint64_t next, in_flight, taken;
    enum err err;   /* the first that went wrong */
    char says[200]; /* what Redis said to that */
    bool unsure;    /* it is not known whether Redis took some */
};

/* --- telling --------------------------------------------------------------------------------- */

static void add_json(const struct send_order *o, const struct uuid *id, struct buf *out)
{
    const struct submission *s = o->job;
    char text[UUID_TEXT_SIZE];

    (void)uuid_text(id, text);
    buf_addf(out,
             "{\"id\":\"%s\",\"state\":\"%s\",\"type\":\"%s\",\"queue\":\"%s\","
             "\"priority\":\"%s\",\"url\":\"/v1/jobs/%s\"}",
             text, job_state_name(submission_state(s)), s->type->name, s->queue,
             job_priority_name(s->priority), text);
}

static void tell_taken(struct sending *s, const struct uuid *id)
{
    struct buf *out = &s->call->text;
    char text[UUID_TEXT_SIZE];

    s->taken++;
    if (s->order->quiet)
        return;
    if (!s->call->json) {
        buf_addf(out, "%s\n", uuid_text(id, text));
        return;
    }
    if (s->order->count > 1)
        buf_add_str(out, s->taken == 1 ? "{\"jobs\":[" : ",");
    add_json(s->order, id, out);
}

static void tell_end(struct sending *s)
{
    if (s->call->json && s->taken > 0 && !s->order->quiet)
        buf_add_str(&s->call->text, s->order->count > 1 ? "]}\n" : "\n");
}

static enum cli_exit tell_failed(struct sending *s, enum err e)
{
    bool refused = e == ERR_EXISTS || e == ERR_LIMITED;
    enum cli_exit code = refused ? call_fail(s->call, CLI_FAILED, "refused: %s", s->says)
                                 : client_redis_failed(s->order->client, e);

    if (s->says[0] != '\0' && !refused)
        call_note(s->call, "%s", s->says);
    if (s->order->count > 1)
        call_note(s->call, "%" PRIu64 " of %" PRIu64 " jobs were taken for certain%s", s->taken,
                  s->order->count, s->unsure ? "; some more may have been" : "");
    else if (s->unsure)
        call_note(s->call, "the job was on its way; it may have been taken");
    return code;
}

/* --- sending --------------------------------------------------------------------------------- */

static void send_more(struct sending *s);

static void take_error(struct sending *s, enum err e, const struct fault *why)
{
    s->err = e;
    if (why != NULL && e != ERR_UNREACHABLE && e != ERR_TIMEOUT && e != ERR_CANCELED)
        (void)snprintf(s->says, sizeof s->says, "%s", why->text);
}

/* The holder of a unique key may stand in its place. */
static void take_id(struct sending *s, const struct parcel *parcel, const struct uuid *id)
{
    if (uuid_eq(&parcel->id, &s->order->job->id))
        s->order->job->id = *id;
    tell_taken(s, id);
}

static void on_enqueued(void *arg, enum err e, const struct producer_verdict *v,
                        const struct fault *why)
{
    struct parcel *parcel = arg;
    struct sending *s = parcel->sending;

    s->in_flight--;
    if (e == ERR_OK)
        take_id(s, parcel, &v->id);
    else if (s->err == ERR_OK)
        take_error(s, e, why);
    s->unsure = s->unsure || e == ERR_UNREACHABLE || e == ERR_TIMEOUT || e == ERR_CANCELED;
    if (s->in_flight < WINDOW / 2)
        send_more(s);
    if (s->in_flight == 0)
        client_answered(s->order->client, s->err);
}

/* Our own encoding has the id at a fixed offset (queue/job.h). */
static enum err send_one(struct sending *s, struct parcel *parcel)
{
    struct submission *job = s->order->job;
    struct producer_job pj;

    memcpy(job->item.data + JOB_ID_OFFSET, parcel->id.bytes, UUID_LEN);
    pj = submission_job(job);
    pj.id = parcel->id;
    if (s->order->once != NULL) {
        pj.once_ms = ONCE_KEEP_MS;
        pj.match = slice_of(s->order->once->print, HASH_LEN);
    }
    return producer_submit(s->producer, &pj, on_enqueued, parcel);
}

static void send_more(struct sending *s)
{
    while (s->in_flight < WINDOW && s->next < s->order->count && s->err == ERR_OK &&
           !client_gave_up(s->order->client)) {
        s->err = send_one(s, &s->parcels[s->next]);
        if (s->err != ERR_OK)
            return;
        s->next++;
        s->in_flight++;
    }
}

static void make_parcels(struct sending *s)
{
    for (uint64_t i = 0; i < s->order->count; i++) {
        s->parcels[i].sending = s;
        s->parcels[i].id = i == 0 ? s->order->job->id : uuid_v7();
    }
}

static enum cli_exit run(struct sending *s)
{
    enum cli_exit code = client_producer(s->order->client, WINDOW, &s->producer);
    enum err e;

    if (code != CLI_DONE)
        return code;
    make_parcels(s);
    send_more(s);
    e = client_wait(s->order->client, s->in_flight > 0 ? ERR_OK : s->err);
    client_producer_done(s->order->client);
    tell_end(s);
    return e == ERR_OK ? CLI_DONE : tell_failed(s, e);
}

enum cli_exit send_jobs(struct call *call, const struct send_order *order, bool *ret_none)
{
    struct sending s = {.call = call, .order = order};
    enum cli_exit code;

    s.parcels = calloc(order->count, sizeof *s.parcels);
    if (s.parcels == NULL)
        code = call_fail(call, CLI_FAILED, "%s", err_text(ERR_NOMEM));
    else
        code = run(&s);
    free(s.parcels);
    *ret_none = s.taken == 0 && !s.unsure;
    return code;
}

void send_tell(struct call *call, const struct send_order *order)
{
    struct sending s = {.call = call, .order = order};

    tell_taken(&s, &order->job->id);
    tell_end(&s);
}
