#include "worker/notify/mime_address.h"

#include <string.h>

enum { LOCAL_MAX = 64, HOST_MAX = 253, LABEL_MAX = 63 };

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool mime_is_atext(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && s.ptr[0] == ' ') {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

static bool is_local(struct slice s)
{
    if (s.len == 0 || s.len > LOCAL_MAX || s.ptr[0] == '.' || s.ptr[s.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!mime_is_atext(s.ptr[i]) && s.ptr[i] != '.')
            return false;
        if (s.ptr[i] == '.' && s.ptr[i + 1] == '.')
            return false;
    }
    return true;
}

static bool is_host(struct slice s)
{
    size_t label = 0;

    if (s.len == 0 || s.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool dot = s.ptr[i] == '.';

        if (!dot && !is_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
        if (dot && label == 0)
            return false;
        label = dot ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

static enum err take_address(struct slice s, const char *field, char ret[MIME_ADDRESS_SIZE],
                             struct fault *reterr)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, '@', s.len);
    struct slice local, host;

    if (at == NULL)
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: an address without @", field);
    local = slice_of(s.ptr, (size_t)(at - s.ptr));
    host = slice_of(at + 1, s.len - local.len - 1);
    if (!is_local(local))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: what stands before the @", field);
    if (!is_host(host))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: what stands behind the @", field);
    (void)slice_to_cstr(s, ret, MIME_ADDRESS_SIZE);
    return ERR_OK;
}

enum err mailbox_bare_address(struct slice text, const char *field, char ret[MIME_ADDRESS_SIZE],
                              struct fault *reterr)
{
    if (text.len >= 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
        text = slice_of(text.ptr + 1, text.len - 2);
    return take_address(text, field, ret, reterr);
}

/* A name in double quotes loses them, and the backslashes inside. Gives false if it does not end. */
static bool take_name(struct slice s, struct buf *out)
{
    if (s.len == 0 || s.ptr[0] != '"') {
        buf_add_slice(out, s);
        return true;
    }
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '"')
            return i + 1 == s.len;
        if (s.ptr[i] == '\\' && ++i == s.len)
            return false;
        buf_add_char(out, s.ptr[i]);
    }
    return false;
}

enum err mailbox_parse(struct slice text, const char *field, struct mailbox *ret,
                       struct fault *reterr)
{
    struct slice s = trim(text);
    const char *open;
    size_t name_len;

    if (has_controls(text))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: control characters", field);
    open = s.len > 0 && s.ptr[s.len - 1] == '>' ? memrchr(s.ptr, '<', s.len) : NULL;
    if (open == NULL)
        return take_address(s, field, ret->address, reterr);
    name_len = (size_t)(open - s.ptr);
    if (!take_name(trim(slice_of(s.ptr, name_len)), &ret->name))
        return fault_set(reterr, ERR_MALFORMED, 0, "%s: the name's quotes", field);
    if (buf_failed(&ret->name))
        return fault_set(reterr, ERR_NOMEM, 0, "%s", field);
    return take_address(slice_of(open + 1, s.len - name_len - 2), field, ret->address, reterr);
}

void mailbox_done(struct mailbox *box)
{
    buf_done(&box->name);
}

enum err mime_address(struct slice mailbox, char ret[MIME_ADDRESS_SIZE], struct fault *reterr)
{
    struct mailbox box = {0};
    enum err e = mailbox_parse(mailbox, "address", &box, reterr);

    if (e == ERR_OK)
        memcpy(ret, box.address, MIME_ADDRESS_SIZE);
    mailbox_done(&box);
    return e;
}
