/* probe_xml: the tokens of an XML text, as far as needed to look at one before a parser does. Pure, allocates
 * nothing, reads each byte once. What it takes is more than XML allows; what it takes apart in another
 * way than a parser would must be refused by the caller (encodings that are not ASCII's heirs). */
#ifndef WORKER_RENDER_CHILD_PROBE_XML_H
#define WORKER_RENDER_CHILD_PROBE_XML_H

#include "shared/slice.h"

enum xml_kind {
    XML_END,     /* of the text */
    XML_BROKEN,  /* cut off, or no XML */
    XML_OPEN,    /* <name body> */
    XML_EMPTY,   /* <name body/> */
    XML_CLOSE,   /* </name> */
    XML_TEXT,    /* body: with references */
    XML_CDATA,   /* body: without */
    XML_DOCTYPE, /* body: what stands in its [ ], or nothing */
    XML_ENTITY,  /* in a DOCTYPE alone: <!ENTITY body> */
    XML_DECLARE, /* likewise: any other <!...>, or %name; */
    XML_PI,      /* <?name body?> */
    XML_COMMENT,
};
struct xml_token {
    enum xml_kind kind;
    struct slice name, body;
};
struct xml {
    struct slice text;
    size_t at;
};

/* Behind a byte order mark of UTF-8. */
struct xml xml_of(struct slice text);
void xml_next(struct xml *x, struct xml_token *ret);
/* The same in the [ ] of a DOCTYPE, where white space is passed over. */
void xml_next_declared(struct xml *x, struct xml_token *ret);

enum xml_attr { XML_ATTR, XML_NO_ATTR, XML_BAD_ATTR };
/* Takes the next name="value" from a tag's body. */
enum xml_attr xml_attr(struct slice *body, struct slice *ret_name, struct slice *ret_value);

bool xml_is_space(char c);
struct slice xml_trim(struct slice s);
/* Takes the next run of what is no white space. */
struct slice xml_word(struct slice *s);
/* Behind the colon. */
struct slice xml_local(struct slice name);

#endif
