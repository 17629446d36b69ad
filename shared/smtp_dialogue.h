/* smtp_dialogue: what is said to a mail relay for one mail, and what its replies mean. No sockets.
 *
 *     MAIL FROM --250--> RCPT TO ... --250--> DATA --354--> the message --250--> accepted
 *         \_________________\____________________\______________\--4yz, 5yz--> refused
 *
 * The first refused recipient refuses the mail: it is then delivered to nobody. For smtp_session.c. */
#ifndef SHARED_SMTP_DIALOGUE_H
#define SHARED_SMTP_DIALOGUE_H

#include "shared/buf.h"

/* Replies ------------------------------------------------------------------------------------- */

#define SMTP_REPLY_MAX 16384

enum smtp_got { SMTP_GOT_NONE, SMTP_GOT_REPLY, SMTP_GOT_GARBAGE };

/* Takes one whole reply (RFC 5321 4.2) off the front of in. text gets its lines, codes and all, each
 * but the last ended by LF. */
enum smtp_got smtp_reply_take(struct buf *in, int *ret_code, struct buf *text);

/* One mail ------------------------------------------------------------------------------------ */

struct smtp_dialogue {
    struct buf commands; /* all of them, in order */
    struct buf message;  /* dots doubled, with the final dot */
    size_t at;           /* behind the command that was given last */
    enum { SMTP_ASKING, SMTP_SENDING, SMTP_OVER } stage;
    bool progressed; /* the relay has said yes at least once */
};

enum smtp_move { SMTP_MOVE_NEXT, SMTP_MOVE_ACCEPTED, SMTP_MOVE_REFUSED, SMTP_MOVE_CONFUSED };

/* Checks the envelope (ASCII, nothing that could end a command; from may be "") and the message (no CR
 * without LF nor LF without CR: a relay may see a second mail there). */
MUST_USE enum err smtp_dialogue_init(struct smtp_dialogue *d, const char *from,
                                     const char *const *to, size_t n_to, struct slice message,
                                     struct fault *reterr);
void smtp_dialogue_done(struct smtp_dialogue *d);
/* From the start; gives what to send first. */
struct slice smtp_dialogue_begin(struct smtp_dialogue *d);
/* After SMTP_MOVE_NEXT, *ret_next is what to send. */
enum smtp_move smtp_dialogue_reply(struct smtp_dialogue *d, int code, struct slice *ret_next);

#endif
