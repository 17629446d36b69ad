/* email: one mail through the configured relay.
 *
 * The Message-ID is made of the job's id, the same for every attempt, so that a repeat can be
 * told. A 4yz answer or a broken link: again later. 5yz: final. Mail to several recipients is one
 * transaction: it is taken for all or failed for all. */
#include "shared/clock.h"
#include "worker/handler.h"
#include "worker/notify/mime.h"

struct email {
    struct slot *slot;
    struct http_transfer *transfer;
};

static struct slice first_line(struct slice reply)
{
    size_t n = 0;

    while (n < reply.len && reply.ptr[n] != '\r' && reply.ptr[n] != '\n')
        n++;
    return slice_of(reply.ptr, n);
}

static void on_answer(void *arg, enum err e, const struct http_answer *a,
                      const struct fault *why)
{
    struct email *m = arg;
    struct slot *s = m->slot;
    struct fault told = {0};
    msgpack_packer pk;

    free(m);
    if (e != ERR_OK) {
        slot_done(s, e, why);
        return;
    }
    if (a->status >= 200 && a->status < 300) {
        mp_packer(&pk, slot_result(s));
        msgpack_pack_map(&pk, 2);
        mp_str(&pk, "status");
        msgpack_pack_int64(&pk, a->status);
        mp_str(&pk, "relay");
        mp_str(&pk, a->peer);
        slot_done(s, ERR_OK, NULL);
        return;
    }
    e = a->status >= 400 && a->status < 500 ? ERR_BUSY : ERR_REJECTED;
    (void)fault_set(&told, e, (int)a->status, "the relay answered %ld: " SLICE_FMT, a->status,
                    SLICE_ARG(first_line(a->body)));
    slot_done(s, e, &told);
}

static struct slice or_null(struct slice s)
{
    return s.len > 0 ? s : slice_of(NULL, 0);
}

/* The part of the sender's address behind the @ names the domain of the Message-ID. */
static enum err build(struct slot *s, const struct spec_email *spec, struct slice from,
                      struct buf *out, struct fault *reterr)
{
    char id[UUID_TEXT_SIZE], address[MIME_ADDRESS_SIZE],
        message_id[UUID_TEXT_SIZE + MIME_ADDRESS_SIZE];
    uint64_t made = uuid_time_ms(&s->claim.id);

    if (mime_address(from, address, reterr) != ERR_OK)
        return reterr->err;
    (void)snprintf(message_id, sizeof message_id, "%s%s", uuid_text(&s->claim.id, id),
                   strchr(address, '@'));
    return mime_build(&(struct mime_mail){.from = from,
                                          .to = spec->to,
                                          .n_to = spec->n_to,
                                          .reply_to = or_null(spec->reply_to),
                                          .subject = spec->subject,
                                          .text = or_null(spec->text),
                                          .html = or_null(spec->html),
                                          .message_id = slice_str(message_id),
                                          .date_ms = made > 0 ? made : s->claim.claimed_ms},
                      out, reterr);
}

static enum err post(struct email *m, const struct spec_email *spec, struct slice from,
                     struct fault *reterr)
{
    const struct services *sv = m->slot->sv;
    AUTO(buf_done) struct buf message = {0};
    char sender[MIME_ADDRESS_SIZE], to[SPEC_EMAIL_TO_MAX][MIME_ADDRESS_SIZE];
    const char *list[SPEC_EMAIL_TO_MAX];

    if (build(m->slot, spec, from, &message, reterr) != ERR_OK ||
        mime_address(from, sender, reterr) != ERR_OK)
        return reterr->err;
    for (size_t i = 0; i < spec->n_to; i++) {
        if (mime_address(spec->to[i], to[i], reterr) != ERR_OK)
            return reterr->err;
        list[i] = to[i];
    }
    return http_client_mail(sv->http,
                            &(struct smtp_mail){.relay = sv->opt->smtp_url,
                                                .user = sv->opt->smtp_user,
                                                .password = sv->opt->smtp_password,
                                                .require_tls = sv->opt->smtp_tls,
                                                .from = sender,
                                                .to = list,
                                                .n_to = spec->n_to,
                                                .message = buf_slice(&message)},
                            on_answer, m, &m->transfer, reterr);
}

static enum err start(struct slot *s, struct fault *reterr)
{
    const struct worker_options *opt = s->sv->opt;
    struct spec_email spec;
    struct slice from;
    struct email *m;
    enum err e;

    must(spec_email_parse(&s->args, "/args", &spec, NULL) == ERR_OK); /* checked before */
    from = spec.from.len > 0 ? spec.from : slice_str(opt->mail_from);
    if (opt->smtp_url == NULL)
        return fault_set(reterr, ERR_FORBIDDEN, 0,
                         "e-mail is switched off (SMTP_URL is not set)");
    if (from.len == 0)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "/args/from: is missing, and MAIL_FROM is not set");
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for the mail");
    m->slot = s;
    s->work = m;
    e = post(m, &spec, from, reterr);
    if (e != ERR_OK)
        free(m);
    return e;
}

static void stop(struct slot *s)
{
    struct email *m = s->work;

    http_client_cancel(m->transfer);
}

const struct handler handler_email = {.type = "email", .start = start, .stop = stop};
