/* hash: SHA-256 and HMAC-SHA-256 (OpenSSL), hex and base64 (RFC 4648). */
#ifndef SHARED_HASH_H
#define SHARED_HASH_H

#include "shared/buf.h"

#define HASH_LEN      32
#define HASH_HEX_SIZE 65

struct hash;                 /* a running SHA-256 */
struct hash *hash_new(void); /* NULL: no memory */
void hash_free(struct hash **h);
void hash_add(struct hash *h, const void *bytes, size_t len);
void hash_end(struct hash *h, uint8_t ret[HASH_LEN]); /* then only hash_free() */

void hash_sha256(const void *bytes, size_t len, uint8_t ret[HASH_LEN]);
void hash_hmac_sha256(struct slice key, struct slice text, uint8_t ret[HASH_LEN]);
/* Reads a whole file; blocking: pool threads and the command line only. */
MUST_USE enum err hash_file(const char *path, uint8_t ret[HASH_LEN], uint64_t *ret_bytes,
                            struct fault *reterr);

char *hex_text(const uint8_t *bytes, size_t len, char *dst /* 2 * len + 1 */);
/* Lower case only, exactly 2 * len digits. */
MUST_USE bool hex_parse(struct slice text, uint8_t *dst, size_t len);
void base64_add(struct buf *out, struct slice bytes);
/* Standard alphabet with padding. */
MUST_USE bool base64_decode(struct slice text, struct buf *out);
/* Takes as long whatever differs. */
bool hash_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
