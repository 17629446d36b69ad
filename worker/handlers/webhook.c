/* webhook: one POST, signed by the Standard Webhooks scheme.
 *
 * webhook-id is the job's id, the same for every attempt, so that the receiver can tell a repeat.
 * 2xx: delivered. 408, 425, 429 and 5xx, no answer, a broken link: again later (Retry-After is
 * honoured). Any other 4xx, 410 among them, and 3xx (no redirect is followed): final. */
#include "shared/clock.h"
#include "shared/json.h"
#include "worker/handler.h"

struct webhook {
    struct slot *slot;
    struct http_transfer *transfer;
};

static void pack_result(struct slot *s, const struct http_answer *a)
{
    msgpack_packer pk;

    mp_packer(&pk, slot_result(s));
    msgpack_pack_map(&pk, 2);
    mp_str(&pk, "status");
    msgpack_pack_int64(&pk, a->status);
    mp_str(&pk, "peer");
    mp_str(&pk, a->peer);
}

static bool worth_a_retry(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void on_answer(void *arg, enum err e, const struct http_answer *a,
                      const struct fault *why)
{
    struct webhook *w = arg;
    struct slot *s = w->slot;
    struct fault told = {0};

    free(w);
    if (e != ERR_OK) {
        slot_done(s, e, why);
        return;
    }
    if (a->status >= 200 && a->status < 300) {
        pack_result(s, a);
        slot_done(s, ERR_OK, NULL);
        return;
    }
    if (worth_a_retry(a->status)) {
        slot_set_retry_after(s, a->retry_after_ms);
        e = fault_set(&told, ERR_BUSY, (int)a->status, "the receiver answered %ld", a->status);
    } else {
        e = fault_set(&told, ERR_REJECTED, (int)a->status, "the receiver answered %ld%s",
                      a->status, a->status < 400 ? " (redirects are not followed)" : "");
    }
    slot_done(s, e, &told);
}

static void write_payload(const struct slot *s, const struct spec_webhook *spec,
                          struct buf *out)
{
    char when[CLOCK_RFC3339_SIZE];
    uint64_t made = uuid_time_ms(&s->claim.id);

    buf_add_str(out, "{\"type\":");
    json_quote(spec->event.len > 0 ? spec->event : SLICE_LIT("job.finished"), out);
    buf_addf(out, ",\"timestamp\":\"%s\",\"data\":",
             clock_rfc3339(made > 0 ? made : s->claim.claimed_ms, when));
    if (spec->body != NULL)
        json_from_msgpack(spec->body, out);
    else
        buf_add_str(out, "{}");
    buf_add_char(out, '}');
}

static enum err post(struct webhook *w, const char *url, struct slice body,
                     struct fault *reterr)
{
    struct slot *s = w->slot;
    struct services *sv = s->sv;
    AUTO(buf_done) struct buf signature = {0};
    char id[UUID_TEXT_SIZE], stamp[24];
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
    struct http_header headers[4] = {{"content-type", "application/json"},
                                     {"webhook-id", uuid_text(&s->claim.id, id)},
                                     {"webhook-timestamp", stamp}};
    size_t n = 3;

    (void)snprintf(stamp, sizeof stamp, "%lld", (long long)now_s);
    if (sv->n_secrets > 0) {
        webhook_sign(sv->secrets, sv->n_secrets, id, now_s, body, &signature);
        if (buf_failed(&signature))
            return fault_set(reterr, ERR_NOMEM, 0, "no memory for the signature");
        headers[n++] = (struct http_header){"webhook-signature", buf_cstr(&signature)};
    }
    return http_client_send(
        sv->http,
        &(struct http_request){.method = "POST",
                               .url = url,
                               .headers = headers,
                               .n_headers = n,
                               .body = body,
                               .deadline_ms = (uint32_t)sv->opt->webhook_timeout_ms},
        on_answer, w, &w->transfer, reterr);
}

static enum err start(struct slot *s, struct fault *reterr)
{
    AUTO(buf_done) struct buf url = {0};
    AUTO(buf_done) struct buf body = {0};
    struct spec_webhook spec;
    struct webhook *w = calloc(1, sizeof *w);
    enum err e;

    must(spec_webhook_parse(&s->args, "/args", &spec, NULL) == ERR_OK); /* checked before */
    buf_add_slice(&url, spec.url);
    write_payload(s, &spec, &body);
    if (w == NULL || buf_failed(&url) || buf_failed(&body)) {
        free(w);
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the request");
    }
    w->slot = s;
    s->work = w;
    e = post(w, buf_cstr(&url), buf_slice(&body), reterr);
    if (e != ERR_OK)
        free(w);
    return e;
}

static void stop(struct slot *s)
{
    struct webhook *w = s->work;

    http_client_cancel(w->transfer);
}

const struct handler handler_webhook = {.type = "webhook", .start = start, .stop = stop};
