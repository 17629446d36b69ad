/* tz: a time zone out of the system's tzdata, without libc's global one.
 *
 * Reads TZif files of version 2 and later (RFC 8536), and beyond their table the POSIX rule in their
 * footer. A zone is a row of segments of constant offset, which cover all time. A name leads to a
 * file below /usr/share/zoneinfo and nowhere else: parts of letters, digits, "_", "+", "-", joined
 * by "/". "UTC" needs no file. Zones that count leap seconds (right/...) are refused.
 * Immutable once loaded; loading reads one small file. */
#ifndef SHARED_TZ_H
#define SHARED_TZ_H

#include "shared/err.h"
#include "shared/slice.h"

#define TZ_NAME_MAX  64
#define TZ_DIRECTORY "/usr/share/zoneinfo"
#define TZ_FILE_MAX  ((size_t)256 * 1024)

struct tz;

/* ERR_MALFORMED: no zone can have this name, or the file is none; ERR_NOT_FOUND: there is no such zone
 * here; ERR_UNSUPPORTED: leap seconds, or a file of version 1; ERR_NOMEM, ERR_IO. */
MUST_USE enum err tz_load(struct slice name, struct tz **ret, struct fault *reterr);
/* The same from the bytes of such a file. */
MUST_USE enum err tz_parse(struct slice file, struct tz **ret, struct fault *reterr);
void tz_free(struct tz **tz);

struct tz_segment {
    int64_t start_s,
        end_s; /* Unix time: from start on, before end; INT64_MIN and INT64_MAX: no bound */
    int32_t offset_s; /* local time less UTC */
};
struct tz_segment tz_segment_at(const struct tz *tz, int64_t unix_s);

enum tz_local { TZ_LOCAL_ONE, TZ_LOCAL_GAP, TZ_LOCAL_REPEATED };
/* The Unix time at which the clock of the zone shows civil_s: the first one if it is shown twice, the end of the gap
 * if it is left out. */
enum tz_local tz_unix_of(const struct tz *tz, int64_t civil_s, int64_t *ret_unix_s);

#endif
