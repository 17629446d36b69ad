/* smtp_pool: mails that wait, the sessions that carry them, and which goes with which. For http_client.c only. */
#ifndef SHARED_SMTP_POOL_H
#define SHARED_SMTP_POOL_H

#include "shared/http_transfer.h"

struct smtp_pool;

struct smtp_pool_options {
    uv_loop_t *loop;
    struct http_transfers *transfers;
    const char *ca_file;         /* may be NULL; outlives the pool */
    unsigned max_sessions;       /* to one relay */
    void (*on_quiet)(void *arg); /* whenever the last session is gone */
    void *arg;
};

MUST_USE enum err smtp_pool_new(const struct smtp_pool_options *opt, struct smtp_pool **ret,
                                struct fault *reterr);
MUST_USE enum err smtp_pool_mail(struct smtp_pool *p, const struct smtp_mail *mail,
                                 http_answer_fn *cb, void *arg, struct http_transfer **ret,
                                 struct fault *reterr);
/* Closes sessions without a mail, and every other once its mail has ended. */
void smtp_pool_close(struct smtp_pool *p);
bool smtp_pool_is_quiet(const struct smtp_pool *p);
/* Only when quiet, and with no mail left. */
void smtp_pool_free(struct smtp_pool **p);

#endif
