/* range: the parts of RFC 9110 that serving files needs: byte ranges (14), entity tags (8.8.3, 13.1). Pure. */
#ifndef API_RANGE_H
#define API_RANGE_H

#include "shared/slice.h"

struct range {
    uint64_t first, last; /* both inside the file */
};
enum range_verdict {
    RANGE_WHOLE, /* none asked for, or one that a server may ignore (several, another unit, malformed) */
    RANGE_PART,
    RANGE_OUTSIDE, /* 416 */
};
/* value.ptr NULL: no field. */
enum range_verdict range_parse(struct slice value, uint64_t bytes, struct range *ret);
/* If-None-Match: a list of tags, weak ones match too; or *. */
bool range_etag_matches(struct slice if_none_match, const char *etag);
/* If-Range: true when the range may be served (no field, or exactly this strong tag; a date never matches). */
bool range_applies(struct slice if_range, const char *etag);

#endif
