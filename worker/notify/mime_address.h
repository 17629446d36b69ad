/* mime_address: the addresses in a mail's headers. For mime.c.
 *
 * Taken: addr@host, <addr@host>, Name <addr@host>, "Name" <addr@host>. The address is ASCII: a
 * dot-atom, one @, a host name. Quoted local parts, address literals and SMTPUTF8 are refused. */
#ifndef WORKER_NOTIFY_MIME_ADDRESS_H
#define WORKER_NOTIFY_MIME_ADDRESS_H

#include "worker/notify/mime.h"

struct mailbox {
    struct buf name; /* without quotes; may be empty */
    char address[MIME_ADDRESS_SIZE];
};

/* field: what the fault begins with. A zeroed mailbox may be given to mailbox_done(). */
MUST_USE enum err mailbox_parse(struct slice text, const char *field, struct mailbox *ret,
                                struct fault *reterr);
void mailbox_done(struct mailbox *box);

/* "addr@host" or "<addr@host>" only. */
MUST_USE enum err mailbox_bare_address(struct slice text, const char *field,
                                       char ret[MIME_ADDRESS_SIZE], struct fault *reterr);

/* What may stand in a word without quotes (RFC 5322). */
bool mime_is_atext(char c);

#endif
