#include "worker/render/child/probe_xml.h"

bool xml_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice behind(struct slice s, size_t n)
{
    return slice_of(s.ptr + n, s.len - n);
}

static struct slice skip_space(struct slice s)
{
    while (s.len > 0 && xml_is_space(s.ptr[0]))
        s = behind(s, 1);
    return s;
}

struct slice xml_trim(struct slice s)
{
    s = skip_space(s);
    while (s.len > 0 && xml_is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct slice xml_word(struct slice *s)
{
    struct slice rest = skip_space(*s);
    size_t n = 0;

    while (n < rest.len && !xml_is_space(rest.ptr[n]))
        n++;
    *s = behind(rest, n);
    return slice_of(rest.ptr, n);
}

struct slice xml_local(struct slice name)
{
    const char *colon = name.len == 0 ? NULL : memchr(name.ptr, ':', name.len);

    return colon == NULL ? name : behind(name, (size_t)(colon - name.ptr) + 1);
}

struct xml xml_of(struct slice text)
{
    return (struct xml){text, slice_starts(text, "\xef\xbb\xbf") ? 3 : 0};
}

/* --- tokens -------------------------------------------------------------------------------- */

static struct xml_token token(enum xml_kind kind)
{
    return (struct xml_token){kind, SLICE_LIT(""), SLICE_LIT("")};
}

/* Where `what` begins, from `from` on; text.len: nowhere. */
static size_t find(struct slice text, size_t from, struct slice what)
{
    const char *at =
        from < text.len ? memmem(text.ptr + from, text.len - from, what.ptr, what.len) : NULL;

    return at == NULL ? text.len : (size_t)(at - text.ptr);
}

static bool is_at(const struct xml *x, const char *what)
{
    return slice_starts(behind(x->text, x->at), what);
}

/* From behind an opening of so many bytes to a closing. */
static void take_until(struct xml *x, size_t opening, struct slice closing, enum xml_kind kind,
                       struct xml_token *ret)
{
    size_t from = x->at + opening;
    size_t end = find(x->text, from, closing);

    *ret = token(XML_BROKEN);
    if (end == x->text.len)
        return;
    ret->kind = kind;
    ret->body = slice_of(x->text.ptr + from, end - from);
    x->at = end + closing.len;
}

/* Takes what is one of these in any place; false: it is none. */
static bool take_aside(struct xml *x, struct xml_token *ret)
{
    if (is_at(x, "<!--")) {
        take_until(x, 4, SLICE_LIT("-->"), XML_COMMENT, ret);
    } else if (is_at(x, "<?")) {
        take_until(x, 2, SLICE_LIT("?>"), XML_PI, ret);
        ret->name = xml_word(&ret->body);
    } else {
        return false;
    }
    return true;
}

/* The end of markup, from `at` on: its '>', or its '[' if it may have one; quotes hold both. 0: none. */
static size_t find_end(struct slice text, size_t at, bool bracket)
{
    char quote = '\0';

    for (; at < text.len; at++) {
        char c = text.ptr[at];

        if (quote != '\0')
            quote = (char)(c == quote ? '\0' : quote);
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>' || (bracket && c == '['))
            return at;
    }
    return 0;
}

static void take_declaration(struct xml *x, size_t opening, enum xml_kind kind,
                             struct xml_token *ret)
{
    size_t from = x->at + opening;
    size_t end = find_end(x->text, from, false);

    *ret = token(XML_BROKEN);
    if (end == 0)
        return;
    ret->kind = kind;
    ret->body = slice_of(x->text.ptr + from, end - from);
    x->at = end + 1;
}

void xml_next_declared(struct xml *x, struct xml_token *ret)
{
    *ret = token(XML_END);
    while (x->at < x->text.len && xml_is_space(x->text.ptr[x->at]))
        x->at++;
    if (x->at == x->text.len || take_aside(x, ret))
        return;
    if (is_at(x, "<!ENTITY"))
        take_declaration(x, 8, XML_ENTITY, ret);
    else if (is_at(x, "<!"))
        take_declaration(x, 2, XML_DECLARE, ret);
    else if (is_at(x, "%"))
        take_until(x, 1, SLICE_LIT(";"), XML_DECLARE, ret);
    else
        ret->kind = XML_BROKEN;
}

/* x stands at the first byte behind '['. Gives the place of its ']'; 0: none. */
static size_t find_bracket(struct xml x)
{
    for (;;) {
        struct xml_token t;

        while (x.at < x.text.len && xml_is_space(x.text.ptr[x.at]))
            x.at++;
        if (is_at(&x, "]"))
            return x.at;
        xml_next_declared(&x, &t);
        if (t.kind == XML_END || t.kind == XML_BROKEN)
            return 0;
    }
}

static void take_doctype(struct xml *x, struct xml_token *ret)
{
    size_t end = find_end(x->text, x->at, true);
    size_t from = end + 1;

    *ret = token(XML_BROKEN);
    if (end != 0 && x->text.ptr[end] == '[') {
        end = find_bracket((struct xml){x->text, from});
        ret->body = end == 0 ? ret->body : slice_of(x->text.ptr + from, end - from);
        end = end == 0 ? 0 : find_end(x->text, end, false);
    }
    if (end == 0)
        return;
    ret->kind = XML_DOCTYPE;
    x->at = end + 1;
}

static bool ends_name(char c)
{
    return xml_is_space(c) || c == '/' || c == '=' || c == '"' || c == '\'' || c == '<';
}

static struct slice take_name(struct slice *s)
{
    size_t n = 0;

    while (n < s->len && !ends_name(s->ptr[n]))
        n++;
    *s = behind(*s, n);
    return slice_of(s->ptr - n, n);
}

static void take_tag(struct xml *x, struct xml_token *ret)
{
    bool close = is_at(x, "</");

    take_declaration(x, close ? 2 : 1, close ? XML_CLOSE : XML_OPEN, ret);
    if (ret->kind == XML_BROKEN)
        return;
    if (!close && ret->body.len > 0 && ret->body.ptr[ret->body.len - 1] == '/') {
        ret->kind = XML_EMPTY;
        ret->body.len--;
    }
    ret->name = take_name(&ret->body);
    if (ret->name.len == 0)
        ret->kind = XML_BROKEN;
}

void xml_next(struct xml *x, struct xml_token *ret)
{
    *ret = token(XML_END);
    if (x->at == x->text.len || take_aside(x, ret))
        return;
    if (is_at(x, "<![CDATA[")) {
        take_until(x, 9, SLICE_LIT("]]>"), XML_CDATA, ret);
    } else if (is_at(x, "<!DOCTYPE")) {
        take_doctype(x, ret);
    } else if (is_at(x, "<")) {
        take_tag(x, ret);
    } else {
        size_t end = find(x->text, x->at, SLICE_LIT("<"));

        ret->kind = XML_TEXT;
        ret->body = slice_of(x->text.ptr + x->at, end - x->at);
        x->at = end;
    }
}

/* --- attributes ---------------------------------------------------------------------------- */

enum xml_attr xml_attr(struct slice *body, struct slice *ret_name, struct slice *ret_value)
{
    struct slice s = skip_space(*body);
    const char *end;

    if (s.len == 0)
        return XML_NO_ATTR;
    *ret_name = take_name(&s);
    s = skip_space(s);
    if (ret_name->len == 0 || !slice_starts(s, "="))
        return XML_BAD_ATTR;
    s = skip_space(behind(s, 1));
    if (s.len == 0 || (s.ptr[0] != '"' && s.ptr[0] != '\''))
        return XML_BAD_ATTR;
    end = memchr(s.ptr + 1, s.ptr[0], s.len - 1);
    if (end == NULL)
        return XML_BAD_ATTR;
    *ret_value = slice_of(s.ptr + 1, (size_t)(end - s.ptr) - 1);
    *body = behind(s, ret_value->len + 2);
    return XML_ATTR;
}
