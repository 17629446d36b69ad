/* text: what is shown to people. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "shared/buf.h"

/* Appends text from outside so that it cannot drive a terminal, end a line or turn the reading
 * direction round: such characters, and bytes that are not UTF-8, appear as \n, \x1b, \u202e. */
void text_safe(struct slice s, struct buf *out);
/* The same for text of several lines, which it keeps. */
void text_safe_lines(struct slice s, struct buf *out);
/* Characters (code points) in text that text_safe() wrote. */
size_t text_width(struct slice s);

/* "3 s ago", "in 5 min", "now". */
void text_age(uint64_t then_ms, uint64_t now_ms, struct buf *out);
/* "350 ms", "1.25 s", "2 min 5 s", "3 h 20 min". */
void text_duration(uint64_t ms, struct buf *out);
/* "812 B", "12.5 kB", "3.1 MB". */
void text_bytes(uint64_t bytes, struct buf *out);

#endif
