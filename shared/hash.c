#include "shared/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <unistd.h>

#define FILE_BLOCK 65536

struct hash {
    EVP_MD_CTX *ctx;
};

/* Fetched once: looking an algorithm up costs ten times what a short hash does. */
static const EVP_MD *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256 != NULL);
}

static const EVP_MD *algorithm(void)
{
    (void)pthread_once(&once, fetch);
    return sha256;
}

struct hash *hash_new(void)
{
    struct hash *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, algorithm(), NULL) != 1)
        hash_free(&h);
    return h;
}

void hash_free(struct hash **h)
{
    if (*h == NULL)
        return;
    EVP_MD_CTX_free((*h)->ctx);
    free(*h);
    *h = NULL;
}

void hash_add(struct hash *h, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(h->ctx, bytes, len) == 1);
}

void hash_end(struct hash *h, uint8_t ret[HASH_LEN])
{
    must(EVP_DigestFinal_ex(h->ctx, ret, NULL) == 1);
}

void hash_sha256(const void *bytes, size_t len, uint8_t ret[HASH_LEN])
{
    must(EVP_Digest(bytes, len, ret, NULL, algorithm(), NULL) == 1);
}

void hash_hmac_sha256(struct slice key, struct slice text, uint8_t ret[HASH_LEN])
{
    unsigned n = HASH_LEN;

    must(HMAC(algorithm(), key.ptr, (int)key.len, (const unsigned char *)text.ptr, text.len,
              ret, &n) != NULL);
}

static enum err hash_fd(struct hash *h, int fd, uint64_t *ret_bytes)
{
    char *block = malloc(FILE_BLOCK);
    ssize_t n = -1;

    if (block == NULL)
        return ERR_NOMEM;
    *ret_bytes = 0;
    while ((n = read(fd, block, FILE_BLOCK)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        hash_add(h, block, (size_t)n);
        *ret_bytes += (uint64_t)n;
    }
    free(block);
    return n == 0 ? ERR_OK : ERR_IO;
}

enum err hash_file(const char *path, uint8_t ret[HASH_LEN], uint64_t *ret_bytes,
                   struct fault *reterr)
{
    AUTO(hash_free) struct hash *h = hash_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    uint64_t bytes = 0;
    enum err e = fd < 0 ? ERR_IO : h == NULL ? ERR_NOMEM : hash_fd(h, fd, &bytes);

    if (e != ERR_OK)
        (void)fault_set(reterr, e, errno, "read %s: %s", path,
                        e == ERR_NOMEM ? err_text(e) : strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (e != ERR_OK)
        return e;
    hash_end(h, ret);
    if (ret_bytes != NULL)
        *ret_bytes = bytes;
    return ERR_OK;
}

char *hex_text(const uint8_t *bytes, size_t len, char *dst)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = digits[bytes[i] >> 4];
        dst[2 * i + 1] = digits[bytes[i] & 15];
    }
    dst[2 * len] = '\0';
    return dst;
}

void base64_add(struct buf *out, struct slice bytes)
{
    size_t n = (bytes.len + 2) / 3 * 4;
    char *dst = buf_reserve(out, n);

    if (dst == NULL)
        return;
    must(bytes.len <= INT32_MAX);
    (void)EVP_EncodeBlock((unsigned char *)dst, (const unsigned char *)bytes.ptr,
                          (int)bytes.len);
    buf_commit(out, n);
}

/* -1: not of the alphabet. */
static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c == '\0' ? NULL : strchr(alphabet, c);

    return p == NULL ? -1 : (int)(p - alphabet);
}

bool base64_decode(struct slice text, struct buf *out)
{
    size_t pad = 0;

    if (text.len % 4 != 0)
        return false;
    while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t keep = i + 4 == text.len ? 3 - pad : 3;
        uint32_t bits = 0;
        char three[3];

        for (size_t k = 0; k < 4; k++) {
            int v = k > keep ? 0 : sextet(text.ptr[i + k]);

            if (v < 0)
                return false;
            bits = bits << 6 | (uint32_t)v;
        }
        if ((keep < 3 && (bits & 0xff) != 0) || (keep < 2 && (bits & 0xffff) != 0))
            return false; /* bits behind the end: two texts for the same bytes */
        three[0] = (char)(bits >> 16);
        three[1] = (char)(bits >> 8);
        three[2] = (char)bits;
        buf_add(out, three, keep);
    }
    return !buf_failed(out);
}

bool hash_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
