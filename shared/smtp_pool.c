#include "shared/smtp_pool.h"

#include "shared/smtp_session.h"

enum { DEADLINE_MS = 60000 };

struct mail {
    struct http_transfer base;
    struct smtp_pool *pool;
    struct smtp_relay relay;
    struct smtp_dialogue dialogue;
    struct seat *seat; /* NULL: waiting, or settled */
    struct mail *next; /* waiting */
};

/* A session and the mail in it. */
struct seat {
    struct smtp_pool *pool;
    struct smtp_session *session;
    struct mail *mail;
    bool used;   /* has carried a mail before this one */
    bool closed; /* takes no more */
    struct seat *next;
};

struct smtp_pool {
    struct smtp_pool_options opt;
    struct seat *seats; /* until the session is freed, closed ones included */
    struct mail *waiting;
    bool closing;
};

static struct mail *mail_of(struct http_transfer *t)
{
    return CONTAINER(t, struct mail, base);
}

static void assign_waiting(struct smtp_pool *p);

/* --- who waits -------------------------------------------------------------------------------- */

static void wait_last(struct mail *m)
{
    struct mail **at = &m->pool->waiting;

    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
    m->next = NULL;
}

static void stop_waiting(struct mail *m)
{
    for (struct mail **at = &m->pool->waiting; *at != NULL; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            return;
        }
    }
}

/* --- seats ------------------------------------------------------------------------------------ */

static void close_seat(struct seat *seat)
{
    seat->closed = true;
    smtp_session_close(seat->session);
}

static void leave_seat(struct mail *m)
{
    if (m->seat != NULL)
        m->seat->mail = NULL;
    m->seat = NULL;
}

static void on_ready(void *arg)
{
    struct seat *seat = arg;

    if (seat->pool->closing)
        close_seat(seat);
    else if (seat->mail != NULL)
        smtp_session_send(seat->session,
                          &seat->mail->dialogue); /* it had this session opened */
    else
        assign_waiting(seat->pool);
}

/* A relay may hang up on a session that waited too long, just when it is used again. */
static bool try_again(struct seat *seat, struct mail *m)
{
    if (!seat->used || m->dialogue.progressed)
        return false;
    leave_seat(m);
    wait_last(m);
    return true;
}

static void end_mail(struct seat *seat, struct mail *m, int code, struct slice text)
{
    const struct http_answer answer = {.status = code,
                                       .body = text,
                                       .retry_after_ms = -1,
                                       .peer = smtp_session_peer(seat->session)};

    leave_seat(m);
    http_transfer_end(&m->base, ERR_OK, &answer, NULL);
}

static void on_verdict(void *arg, int code, struct slice text)
{
    struct seat *seat = arg;
    struct mail *m = seat->mail;

    if (code == 421 && try_again(seat, m))
        return;
    seat->used = true;
    end_mail(seat, m, code, text);
}

static void on_down(void *arg, int code, struct slice text, const struct fault *why)
{
    struct seat *seat = arg;
    struct mail *m = seat->mail;

    seat->closed = true;
    if (m != NULL && code != 0) {
        end_mail(seat, m, code, text);
    } else if (m != NULL && !try_again(seat, m)) {
        leave_seat(m);
        http_transfer_end(&m->base, why->err, NULL, why);
    }
    assign_waiting(seat->pool);
}

static void on_freed(void *arg)
{
    struct seat *seat = arg;
    struct smtp_pool *p = seat->pool;
    struct seat **at = &p->seats;

    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
    free(seat);
    if (p->seats == NULL)
        p->opt.on_quiet(p->opt.arg);
}

static struct seat *idle_seat(const struct smtp_pool *p, const struct mail *m)
{
    for (struct seat *seat = p->seats; seat != NULL; seat = seat->next) {
        if (!seat->closed && seat->mail == NULL && smtp_session_is_idle(seat->session) &&
            smtp_relay_equal(smtp_session_relay(seat->session), &m->relay))
            return seat;
    }
    return NULL;
}

static unsigned seats_to(const struct smtp_pool *p, const struct mail *m)
{
    unsigned n = 0;

    for (const struct seat *seat = p->seats; seat != NULL; seat = seat->next) {
        if (!seat->closed && smtp_relay_equal(smtp_session_relay(seat->session), &m->relay))
            n++;
    }
    return n;
}

static enum err open_seat(struct smtp_pool *p, struct mail *m, struct fault *reterr)
{
    static const struct smtp_session_events on = {
        .ready = on_ready, .verdict = on_verdict, .down = on_down, .freed = on_freed};
    struct seat *seat = calloc(1, sizeof *seat);
    enum err e;

    if (seat == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "mail session");
    e = smtp_session_open(&(struct smtp_session_options){.loop = p->opt.loop,
                                                         .ca_file = p->opt.ca_file,
                                                         .relay = &m->relay,
                                                         .on = &on,
                                                         .arg = seat},
                          &seat->session, reterr);
    if (e != ERR_OK) {
        free(seat);
        return e;
    }
    seat->pool = p;
    seat->next = p->seats;
    p->seats = seat;
    seat->mail = m;
    m->seat = seat;
    return ERR_OK;
}

/* Gives false if there is no room now. */
static bool find_seat(struct mail *m)
{
    struct smtp_pool *p = m->pool;
    struct seat *seat = idle_seat(p, m);
    struct fault why;

    if (seat != NULL) {
        seat->mail = m;
        m->seat = seat;
        smtp_session_send(seat->session, &m->dialogue);
        return true;
    }
    if (seats_to(p, m) >= p->opt.max_sessions)
        return false;
    if (open_seat(p, m, &why) != ERR_OK)
        http_transfer_fail_soon(&m->base, &why);
    return true;
}

/* Calls nobody back, so it may be used in a start. */
static void assign_waiting(struct smtp_pool *p)
{
    struct mail **at = &p->waiting;

    while (*at != NULL && !p->closing) {
        struct mail *m = *at;

        if (find_seat(m))
            *at = m->next;
        else
            at = &m->next;
    }
}

/* --- mails ------------------------------------------------------------------------------------ */

static void stop(struct http_transfer *t)
{
    struct mail *m = mail_of(t);
    struct seat *seat = m->seat;

    stop_waiting(m);
    leave_seat(m);
    if (seat != NULL)
        close_seat(seat); /* in the middle of a mail nothing else can be said */
    assign_waiting(m->pool);
}

static void dispose(struct mail *m)
{
    smtp_relay_done(&m->relay);
    smtp_dialogue_done(&m->dialogue);
    free(m);
}

static void free_mail(struct http_transfer *t)
{
    dispose(mail_of(t));
}

static const struct http_transfer_kind kind = {.stop = stop, .free = free_mail};

enum err smtp_pool_mail(struct smtp_pool *p, const struct smtp_mail *mail, http_answer_fn *cb,
                        void *arg, struct http_transfer **ret, struct fault *reterr)
{
    struct mail *m = calloc(1, sizeof *m);
    enum err e;

    if (m == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "mail");
    m->pool = p;
    e = smtp_relay_init(&m->relay, mail->relay, mail->user, mail->password, mail->require_tls,
                        reterr);
    if (e == ERR_OK)
        e = smtp_dialogue_init(&m->dialogue, mail->from, mail->to, mail->n_to, mail->message,
                               reterr);
    if (e != ERR_OK) {
        dispose(m);
        return e;
    }
    (void)snprintf(m->base.what, sizeof m->base.what, "mail via %s", m->relay.parsed.label);
    http_transfer_init(&m->base, &kind, p->opt.transfers, p->opt.loop);
    http_transfer_start(&m->base, mail->deadline_ms == 0 ? DEADLINE_MS : mail->deadline_ms, cb,
                        arg);
    wait_last(m);
    assign_waiting(p);
    if (ret != NULL)
        *ret = &m->base;
    return ERR_OK;
}

/* --- the pool --------------------------------------------------------------------------------- */

enum err smtp_pool_new(const struct smtp_pool_options *opt, struct smtp_pool **ret,
                       struct fault *reterr)
{
    struct smtp_pool *p = calloc(1, sizeof *p);

    if (p == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "mail sessions");
    p->opt = *opt;
    *ret = p;
    return ERR_OK;
}

void smtp_pool_close(struct smtp_pool *p)
{
    p->closing = true;
    for (struct seat *seat = p->seats; seat != NULL; seat = seat->next) {
        if (seat->mail == NULL && !seat->closed)
            close_seat(seat);
    }
}

bool smtp_pool_is_quiet(const struct smtp_pool *p)
{
    return p->seats == NULL;
}

void smtp_pool_free(struct smtp_pool **pp)
{
    struct smtp_pool *p = *pp;

    *pp = NULL;
    if (p == NULL)
        return;
    must(p->seats == NULL && p->waiting == NULL);
    free(p);
}
