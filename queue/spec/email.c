#include "queue/spec/types.h"
#include "queue/spec/walk.h"

/* RFC 5321: lengths of a path, of what stands before the @ and of one part of a host name. */
#define ADDRESS_MAX 254
#define LOCAL_MAX   64
#define LABEL_MAX   63
#define SUBJECT_MAX 900 /* with its name it stays under the 998 bytes of one line */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322's dot-atom: nothing that needs quotes, so nothing that could end a header. */
static bool is_local_part(struct slice s)
{
    char last = '.';

    if (s.len > LOCAL_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '\0' || (!is_alnum(c) && strchr("!#$%&'*+-/=?^_`{|}~.", c) == NULL))
            return false;
        if (c == '.' && last == '.')
            return false;
        last = c;
    }
    return last != '.';
}

static bool is_label(struct slice s)
{
    if (s.len == 0 || s.len > LABEL_MAX || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool is_host(struct slice s)
{
    while (s.len > 0) {
        const char *dot = memchr(s.ptr, '.', s.len);
        size_t n = dot == NULL ? s.len : (size_t)(dot - s.ptr);

        if (!is_label(slice_of(s.ptr, n)))
            return false;
        if (dot == NULL)
            return true;
        s = slice_of(dot + 1, s.len - n - 1);
    }
    return false;
}

static bool is_address(struct slice s)
{
    const char *at = memchr(s.ptr, '@', s.len);
    size_t local = at == NULL ? 0 : (size_t)(at - s.ptr);

    return at != NULL && s.len <= ADDRESS_MAX && is_local_part(slice_of(s.ptr, local)) &&
           is_host(slice_of(at + 1, s.len - local - 1));
}

static enum err walk_address(const msgpack_object *v, struct slice *ret_value,
                             const struct place *at, struct spec_fault *ret)
{
    if (v->type != MSGPACK_OBJECT_STR || v->via.str.size == 0 || !is_address(mp_as_slice(v)))
        return walk_fault(at, ret, "must be an e-mail address, as in someone@example.com");
    *ret_value = mp_as_slice(v);
    return ERR_OK;
}

static enum err take_to(void *out, const msgpack_object *v, const struct place *at,
                        struct spec_fault *ret)
{
    struct spec_email *mail = out;
    enum err e;

    if (v->type == MSGPACK_OBJECT_STR) {
        mail->n_to = 1;
        return walk_address(v, &mail->to[0], at, ret);
    }
    e = walk_array(v, 1, SPEC_EMAIL_TO_MAX, at, ret);
    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = walk_address(&v->via.array.ptr[i], &mail->to[i], &here, ret);
        mail->n_to = i + 1;
    }
    return e;
}

static enum err take_subject(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct spec_email *mail = out;

    return walk_line(v, SUBJECT_MAX, &mail->subject, at, ret);
}

static enum err take_text(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_email *mail = out;

    return walk_text(v, JOB_ITEM_MAX, &mail->text, at, ret);
}

static enum err take_html(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_email *mail = out;

    return walk_text(v, JOB_ITEM_MAX, &mail->html, at, ret);
}

static enum err take_from(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_email *mail = out;

    return walk_address(v, &mail->from, at, ret);
}

static enum err take_reply_to(void *out, const msgpack_object *v, const struct place *at,
                              struct spec_fault *ret)
{
    struct spec_email *mail = out;

    return walk_address(v, &mail->reply_to, at, ret);
}

static const struct walk_field fields[] = {
    {"to", take_to, true},      {"subject", take_subject, true},
    {"text", take_text, false}, {"html", take_html, false},
    {"from", take_from, false}, {"reply_to", take_reply_to, false},
};

enum err spec_email_parse(const msgpack_object *args, const char *at, struct spec_email *ret,
                          struct spec_fault *reterr)
{
    struct place root = place_root(at);
    struct spec_email mail = {.n_to = 0};
    enum err e = walk_map(args, WALK_TABLE(fields), &mail, &root, reterr);

    if (e == ERR_OK && mail.text.len == 0 && mail.html.len == 0)
        e = walk_fault(&root, reterr, "must have text or html");
    if (e == ERR_OK)
        *ret = mail;
    return e;
}

enum err spec_email_check(const msgpack_object *args, const char *at, struct spec_fault *ret)
{
    struct spec_email mail;

    return spec_email_parse(args, at, &mail, ret);
}
