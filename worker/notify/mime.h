/* mime: one mail as RFC 5322 text: ASCII only, CRLF lines, quoted-printable bodies.
 *
 *     text only          text/plain
 *     html only          text/html
 *     both               multipart/alternative, the plain part first
 *
 * Nothing from outside can add a header or end a part: control characters are refused, and the
 * boundary holds "=_", which quoted-printable never does. */
#ifndef WORKER_NOTIFY_MIME_H
#define WORKER_NOTIFY_MIME_H

#include "shared/buf.h"

struct mime_mail {
    struct slice from;      /* "Name <addr@host>" or "addr@host" */
    const struct slice *to; /* the same, each */
    size_t n_to;
    struct slice reply_to;   /* ptr NULL: none */
    struct slice subject;    /* UTF-8 */
    struct slice text, html; /* UTF-8; ptr NULL: none; at least one */
    struct slice
        message_id; /* "id@host", with or without angle brackets; the same for every attempt */
    uint64_t date_ms; /* Unix time */
};

/* ERR_MALFORMED: the fault begins with the field's name ("to[2]: ..."). On failure out is empty. */
MUST_USE enum err mime_build(const struct mime_mail *mail, struct buf *out,
                             struct fault *reterr);

#define MIME_ADDRESS_SIZE 320

/* The bare address of "Name <addr@host>", for the envelope. */
MUST_USE enum err mime_address(struct slice mailbox, char ret[MIME_ADDRESS_SIZE],
                               struct fault *reterr);

#endif
