/* smtp_session: one connection to a mail relay, for one mail after the other. For smtp_pool.c only.
 *
 *     RESOLVING -> CONNECTING -> IDLE <-> TALKING -> RESETTING -> IDLE ...
 *          \___________\_________/___________\____________\____________> CLOSED (freed later)
 *
 * libcurl connects (CURLOPT_CONNECT_ONLY): greeting, EHLO, STARTTLS, AUTH, all without blocking. The
 * mail itself is said here, through curl_easy_send() and curl_easy_recv(), because libcurl's own upload
 * waits for the reply to the final dot inside of one call, and so does its QUIT: a relay that takes its
 * time would stop the whole loop. */
#ifndef SHARED_SMTP_SESSION_H
#define SHARED_SMTP_SESSION_H

#include <uv.h>

#include "shared/http_url.h"
#include "shared/smtp_dialogue.h"

/* Where to, and as whom. Sessions are shared between mails whose relays are equal. */
struct smtp_relay {
    char *url, *user, *password; /* user and password may be NULL */
    bool require_tls;
    struct http_url parsed;
};

struct smtp_session;

/* Called from callbacks of the loop only. */
struct smtp_session_events {
    /* The session can take a mail: just connected, or done with the one before. */
    void (*ready)(void *arg);
    /* The relay's verdict on the mail: 2yz, 4yz or 5yz. */
    void (*verdict)(void *arg, int code, struct slice text);
    /* The session is closing, the mail with it. code, text: a refusal at connecting, else 0 and "". */
    void (*down)(void *arg, int code, struct slice text, const struct fault *why);
    /* The last word; s is gone. */
    void (*freed)(void *arg);
};

struct smtp_session_options {
    uv_loop_t *loop;
    const char *ca_file;            /* may be NULL */
    const struct smtp_relay *relay; /* copied */
    const struct smtp_session_events *on;
    void *arg;
};

MUST_USE enum err smtp_session_open(const struct smtp_session_options *opt,
                                    struct smtp_session **ret, struct fault *reterr);
/* Only after ready(). Borrows d until verdict() or down(). */
void smtp_session_send(struct smtp_session *s, struct smtp_dialogue *d);
/* Without down(); harmless twice. */
void smtp_session_close(struct smtp_session *s);

bool smtp_session_is_idle(const struct smtp_session *s);
const struct smtp_relay *smtp_session_relay(const struct smtp_session *s);
const char *smtp_session_peer(const struct smtp_session *s);

MUST_USE enum err smtp_relay_init(struct smtp_relay *r, const char *url, const char *user,
                                  const char *password, bool require_tls, struct fault *reterr);
void smtp_relay_done(struct smtp_relay *r);
bool smtp_relay_equal(const struct smtp_relay *a, const struct smtp_relay *b);

#endif
