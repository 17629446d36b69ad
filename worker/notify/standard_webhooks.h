/* standard_webhooks: signing what a webhook sends (Standard Webhooks 1.0.0, symmetric keys).
 *
 * The receiver gets three headers: the id (the same for every attempt), the time of this attempt, and
 * one signature per secret, so that secrets can be changed without a gap. */
#ifndef WORKER_NOTIFY_STANDARD_WEBHOOKS_H
#define WORKER_NOTIFY_STANDARD_WEBHOOKS_H

#include "shared/buf.h"

#define WEBHOOK_HEADER_ID        "webhook-id"
#define WEBHOOK_HEADER_TIMESTAMP "webhook-timestamp"
#define WEBHOOK_HEADER_SIGNATURE "webhook-signature"

#define WEBHOOK_KEY_MIN          24
#define WEBHOOK_KEY_MAX          64

struct webhook_secret {
    uint8_t key[WEBHOOK_KEY_MAX];
    size_t len;
};

/* "whsec_" and the base64 of 24 to 64 bytes. The fault never holds the text. */
MUST_USE enum err webhook_secret_parse(const char *text, struct webhook_secret *ret,
                                       struct fault *reterr);
/* Adds "v1,<base64>[ v1,<base64>]", one for each key. id holds no dot. Failure sticks to the buffer. */
void webhook_sign(const struct webhook_secret *keys, size_t n, const char *id,
                  int64_t unix_seconds, struct slice body, struct buf *out_header_value);

#endif
