#include "worker/notify/standard_webhooks.h"

#include <inttypes.h>
#include <string.h>

#include "shared/hash.h"

enum err webhook_secret_parse(const char *text, struct webhook_secret *ret,
                              struct fault *reterr)
{
    static const char prefix[] = "whsec_";
    struct slice base64 = slice_str(text);
    struct buf key = {0};
    enum err e = ERR_OK;

    if (!slice_starts(base64, prefix))
        return fault_set(reterr, ERR_MALFORMED, 0, "webhook secret: does not begin with %s",
                         prefix);
    base64.ptr += sizeof prefix - 1;
    base64.len -= sizeof prefix - 1;
    if (!base64_decode(base64, &key))
        e = fault_set(reterr, buf_failed(&key) ? ERR_NOMEM : ERR_MALFORMED, 0,
                      "webhook secret: not base64 behind %s", prefix);
    else if (key.len < WEBHOOK_KEY_MIN || key.len > WEBHOOK_KEY_MAX)
        e = fault_set(reterr, ERR_MALFORMED, 0, "webhook secret: %zu bytes, not %d to %d",
                      key.len, WEBHOOK_KEY_MIN, WEBHOOK_KEY_MAX);
    if (e == ERR_OK) {
        memcpy(ret->key, key.data, key.len);
        ret->len = key.len;
    }
    if (key.data != NULL)
        explicit_bzero(key.data, key.cap);
    buf_done(&key);
    return e;
}

void webhook_sign(const struct webhook_secret *keys, size_t n, const char *id,
                  int64_t unix_seconds, struct slice body, struct buf *out_header_value)
{
    AUTO(buf_done) struct buf text = {0};

    must(strchr(id, '.') == NULL); /* or two ids could give the same signed text */
    buf_addf(&text, "%s.%" PRId64 ".", id, unix_seconds);
    buf_add_slice(&text, body);
    for (size_t i = 0; i < n && !buf_failed(&text); i++) {
        uint8_t mac[HASH_LEN];

        hash_hmac_sha256(slice_of(keys[i].key, keys[i].len), buf_slice(&text), mac);
        buf_add_str(out_header_value, i == 0 ? "v1," : " v1,");
        base64_add(out_header_value, slice_of(mac, sizeof mac));
    }
    out_header_value->failed = out_header_value->failed || buf_failed(&text);
}
