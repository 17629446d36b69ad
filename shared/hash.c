#include "shared/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE 65536

struct hash {
    EVP_MD_CTX *ctx;
};

/* Looking an algorithm up costs more than hashing a short text, so it is done once. */
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(sha256 != NULL && hmac != NULL);
}

static void fetched(void)
{
    must(pthread_once(&fetch_once, fetch) == 0);
}

struct hash *hash_new(void)
{
    struct hash *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    fetched();
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1)
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
    fetched();
    must(EVP_Digest(bytes, len, ret, NULL, sha256, NULL) == 1);
}

void hash_hmac_sha256(struct slice key, struct slice text, uint8_t ret[HASH_LEN])
{
    char digest[] = "SHA2-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    /* An empty key is a key; NULL would mean the one of before. */
    const char *bytes = key.len == 0 ? "" : key.ptr;
    EVP_MAC_CTX *ctx;
    size_t n = 0;

    fetched();
    ctx = EVP_MAC_CTX_new(hmac);
    must(ctx != NULL);
    must(EVP_MAC_init(ctx, (const unsigned char *)bytes, key.len, params) == 1);
    must(EVP_MAC_update(ctx, (const unsigned char *)text.ptr, text.len) == 1);
    must(EVP_MAC_final(ctx, ret, &n, HASH_LEN) == 1 && n == HASH_LEN);
    EVP_MAC_CTX_free(ctx);
}

static enum err io_fault(struct fault *reterr, const char *what, const char *path)
{
    int native = errno;
    enum err e = native == ENOENT || native == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;

    return fault_set(reterr, e, native, "%s %s: %s", what, path, strerrordesc_np(native));
}

static enum err add_file(struct hash *h, int fd, const char *path, uint64_t *ret_bytes,
                         struct fault *reterr)
{
    char block[BLOCK_SIZE];
    uint64_t total = 0;

    for (;;) {
        ssize_t n = read(fd, block, sizeof block);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_fault(reterr, "read", path);
        if (n == 0)
            break;
        hash_add(h, block, (size_t)n);
        total += (uint64_t)n;
    }
    *ret_bytes = total;
    return ERR_OK;
}

static enum err hash_fd(int fd, const char *path, uint8_t ret[HASH_LEN], uint64_t *ret_bytes,
                        struct fault *reterr)
{
    struct hash *h;
    struct stat st;
    enum err e;

    if (fstat(fd, &st) != 0)
        return io_fault(reterr, "stat", path);
    if (!S_ISREG(st.st_mode))
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "%s is not a regular file", path);
    h = hash_new();
    if (h == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "hash %s: %s", path, err_text(ERR_NOMEM));
    e = add_file(h, fd, path, ret_bytes, reterr);
    if (e == ERR_OK)
        hash_end(h, ret);
    hash_free(&h);
    return e;
}

enum err hash_file(const char *path, uint8_t ret[HASH_LEN], uint64_t *ret_bytes,
                   struct fault *reterr)
{
    /* Opening a FIFO or a device must not block, and neither has an end. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    uint64_t ignored;
    enum err e;

    if (fd < 0)
        return io_fault(reterr, "open", path);
    e = hash_fd(fd, path, ret, ret_bytes == NULL ? &ignored : ret_bytes, reterr);
    (void)close(fd);
    return e;
}

char *hex_text(const uint8_t *bytes, size_t len, char *dst)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = digits[bytes[i] >> 4];
        dst[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
    dst[2 * len] = '\0';
    return dst;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct slice text, uint8_t *dst, size_t len)
{
    if (text.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit_of(text.ptr[2 * i]), low = digit_of(text.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        dst[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, struct slice bytes)
{
    size_t len = (bytes.len / 3 + (bytes.len % 3 != 0)) * 4;
    char *to = bytes.len > SIZE_MAX / 2 ? NULL : buf_reserve(out, len);

    if (to == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t v = 0;

        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < have ? (uint8_t)bytes.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *to++ = alphabet[v >> (18 - 6 * k) & 63];
        for (size_t k = have; k < 3; k++)
            to[(ptrdiff_t)k - 3] = '=';
    }
    buf_commit(out, len);
}

static int base64_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);

    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Four characters, of which the last `pad` are '='. Bits that no byte takes must be zero, so that
 * every run of bytes has one text only. */
static bool decode_quad(const char *from, unsigned pad, struct buf *out)
{
    uint32_t v = 0;

    for (unsigned k = 0; k < 4; k++) {
        int digit = k < 4 - pad ? base64_value(from[k]) : 0;

        if (digit < 0)
            return false;
        v = v << 6 | (uint32_t)digit;
    }
    if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
        return false;
    for (unsigned k = 0; k < 3 - pad; k++)
        buf_add_char(out, (char)(v >> (16 - 8 * k)));
    return true;
}

bool base64_decode(struct slice text, struct buf *out)
{
    size_t before = out->len;
    unsigned pad = 0;

    if (text.len % 4 != 0)
        return false;
    if (text.len > 0 && text.ptr[text.len - 1] == '=')
        pad = text.ptr[text.len - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < text.len; i += 4) {
        if (!decode_quad(text.ptr + i, i + 4 == text.len ? pad : 0, out)) {
            buf_truncate(out, before);
            return false;
        }
    }
    return !buf_failed(out);
}

bool hash_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
