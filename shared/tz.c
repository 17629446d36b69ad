#include "shared/tz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/civil.h"
#include "shared/tz_rule.h"

#define HEADER_SIZE 44
#define TYPE_SIZE   ((size_t)6)
#define COUNT_MAX   20000u /* transitions in one file; real ones have some 250 */
#define OFFSET_MAX  (26 * 3600)
#define AROUND_S    (2 * (int64_t)CIVIL_DAY_S) /* further than any offset and any jump */

struct tz {
    struct tz_rule rule; /* in force from the last transition on */
    bool has_rule;
    int32_t first_offset_s; /* before the first transition */
    size_t n;
    struct transition {
        int64_t at_s;
        int32_t offset_s; /* from then on */
    } transitions[];
};

/* --- parsing --------------------------------------------------------------------------------- */

struct counts {
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t be32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t be64(const char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static enum err not_tzif(struct fault *reterr, const char *what)
{
    return fault_set(reterr, ERR_MALFORMED, 0, "not a time zone file: %s", what);
}

static enum err parse_header(struct slice *rest, char *ret_version, struct counts *ret,
                             struct fault *reterr)
{
    const char *p = rest->ptr;

    if (rest->len < HEADER_SIZE || memcmp(p, "TZif", 4) != 0)
        return not_tzif(reterr, "no header");
    *ret_version = p[4];
    *ret = (struct counts){be32(p + 20), be32(p + 24), be32(p + 28),
                           be32(p + 32), be32(p + 36), be32(p + 40)};
    *rest = slice_of(p + HEADER_SIZE, rest->len - HEADER_SIZE);
    if (ret->isut > 256 || ret->isstd > 256 || ret->leap > COUNT_MAX || ret->time > COUNT_MAX ||
        ret->type > 256 || ret->chars > COUNT_MAX)
        return not_tzif(reterr, "counts out of range");
    return ERR_OK;
}

static size_t body_size(const struct counts *c, size_t time_size)
{
    return (size_t)c->time * (time_size + 1) + c->type * TYPE_SIZE + c->chars +
           c->leap * (time_size + 4) + c->isstd + c->isut;
}

static enum err take_transitions(const char *body, const struct counts *c, struct tz *tz,
                                 struct fault *reterr)
{
    const char *index = body + (size_t)c->time * 8, *types = index + c->time;

    tz->first_offset_s = (int32_t)be32(types);
    tz->n = c->time;
    for (size_t i = 0; i < c->time; i++) {
        unsigned type = (unsigned char)index[i];
        struct transition *t = &tz->transitions[i];

        if (type >= c->type)
            return not_tzif(reterr, "a transition to nowhere");
        t->at_s = be64(body + i * 8);
        t->offset_s = (int32_t)be32(types + type * TYPE_SIZE);
        if (i > 0 && t->at_s <= t[-1].at_s)
            return not_tzif(reterr, "transitions out of order");
    }
    for (size_t i = 0; i < c->type; i++) {
        int32_t offset = (int32_t)be32(types + i * TYPE_SIZE);

        if (offset < -OFFSET_MAX || offset > OFFSET_MAX)
            return not_tzif(reterr, "an offset of more than a day");
    }
    return ERR_OK;
}

/* "\n<rule>\n"; the rule may be empty. */
static enum err take_footer(struct slice rest, struct tz *tz, struct fault *reterr)
{
    const char *end;

    if (rest.len < 2 || rest.ptr[0] != '\n')
        return not_tzif(reterr, "no footer");
    end = memchr(rest.ptr + 1, '\n', rest.len - 1);
    if (end == NULL)
        return not_tzif(reterr, "no end of the footer");
    rest = slice_of(rest.ptr + 1, (size_t)(end - rest.ptr) - 1);
    tz->has_rule = rest.len > 0;
    if (tz->has_rule && !tz_rule_parse(rest, &tz->rule))
        return not_tzif(reterr, "the rule in the footer does not parse");
    return ERR_OK;
}

static enum err parse_body(struct slice rest, const struct counts *c, struct tz **ret,
                           struct fault *reterr)
{
    size_t size = body_size(c, 8);
    struct tz *tz;
    enum err e;

    if (c->type == 0 || rest.len < size)
        return not_tzif(reterr, "cut short");
    if (c->leap > 0)
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "a time zone that counts leap seconds");
    tz = calloc(1, sizeof *tz + c->time * sizeof tz->transitions[0]);
    if (tz == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a time zone");
    e = take_transitions(rest.ptr, c, tz, reterr);
    if (e == ERR_OK)
        e = take_footer(slice_of(rest.ptr + size, rest.len - size), tz, reterr);
    if (e == ERR_OK)
        *ret = tz;
    else
        free(tz);
    return e;
}

/* The first block is for readers of old and has 32 bits; the second one is the one that counts. */
enum err tz_parse(struct slice file, struct tz **ret, struct fault *reterr)
{
    struct counts c;
    char version = 0;
    size_t skip;
    enum err e = parse_header(&file, &version, &c, reterr);

    if (e != ERR_OK)
        return e;
    if (version < '2')
        return fault_set(reterr, ERR_UNSUPPORTED, 0, "a time zone file of version 1");
    skip = body_size(&c, 4);
    if (file.len < skip)
        return not_tzif(reterr, "cut short");
    file = slice_of(file.ptr + skip, file.len - skip);
    e = parse_header(&file, &version, &c, reterr);
    return e == ERR_OK ? parse_body(file, &c, ret, reterr) : e;
}

/* --- loading --------------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '+' || c == '-';
}

/* No dot, so no way up and none of the tables that lie beside the zones. */
static bool is_name(struct slice name)
{
    bool after_slash = true;

    for (size_t i = 0; i < name.len; i++) {
        bool slash = name.ptr[i] == '/';

        if (slash ? after_slash : !is_name_char(name.ptr[i]))
            return false;
        after_slash = slash;
    }
    /* These two say what the machine is set to. */
    return name.len <= TZ_NAME_MAX && !after_slash && !slice_is(name, "localtime") &&
           !slice_is(name, "posixrules");
}

static enum err read_file(int fd, const char *name, char *dst, size_t *ret_len,
                          struct fault *reterr)
{
    struct stat st;
    size_t n = 0;
    ssize_t got = 1;

    if (fstat(fd, &st) != 0)
        return fault_set(reterr, ERR_IO, errno, "time zone %s: %s", name, err_errno(errno));
    if (!S_ISREG(st.st_mode))
        return fault_set(reterr, ERR_NOT_FOUND, 0, "there is no time zone \"%s\" here", name);
    while (got > 0 && n < TZ_FILE_MAX) {
        got = read(fd, dst + n, TZ_FILE_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        return fault_set(reterr, ERR_IO, errno, "time zone %s: %s", name, err_errno(errno));
    *ret_len = n;
    return ERR_OK;
}

static enum err load_file(const char *name, struct tz **ret, struct fault *reterr)
{
    char path[sizeof TZ_DIRECTORY + 1 + TZ_NAME_MAX];
    char *bytes = malloc(TZ_FILE_MAX);
    size_t len = 0;
    int fd;
    enum err e;

    if (bytes == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a time zone");
    (void)snprintf(path, sizeof path, "%s/%s", TZ_DIRECTORY, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        e = errno == ENOENT || errno == ENOTDIR
                ? fault_set(reterr, ERR_NOT_FOUND, 0, "there is no time zone \"%s\" here", name)
                : fault_set(reterr, ERR_IO, errno, "time zone %s: %s", name, err_errno(errno));
    else
        e = read_file(fd, name, bytes, &len, reterr);
    if (fd >= 0)
        (void)close(fd);
    if (e == ERR_OK)
        e = tz_parse(slice_of(bytes, len), ret, reterr);
    free(bytes);
    return e;
}

enum err tz_load(struct slice name, struct tz **ret, struct fault *reterr)
{
    char text[TZ_NAME_MAX + 1];
    struct tz *tz;

    if (!is_name(name) || !slice_to_cstr(name, text, sizeof text))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "a time zone is named like Europe/Berlin or UTC");
    if (!slice_is(name, "UTC"))
        return load_file(text, ret, reterr);
    tz = calloc(1, sizeof *tz);
    if (tz == NULL)
        return fault_set(reterr, ERR_NOMEM, 0, "no memory for a time zone");
    *ret = tz;
    return ERR_OK;
}

void tz_free(struct tz **tz)
{
    free(*tz);
    *tz = NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* How many transitions lie at or before that time. */
static size_t count_before(const struct tz *tz, int64_t unix_s)
{
    size_t low = 0, high = tz->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (tz->transitions[middle].at_s <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tz_segment tz_segment_at(const struct tz *tz, int64_t unix_s)
{
    size_t n = count_before(tz, unix_s);
    struct tz_segment s = {.start_s = INT64_MIN, .end_s = INT64_MAX};

    s.offset_s = tz->first_offset_s;
    if (n > 0) {
        s.start_s = tz->transitions[n - 1].at_s;
        s.offset_s = tz->transitions[n - 1].offset_s;
    }
    if (n < tz->n) {
        s.end_s = tz->transitions[n].at_s;
    } else if (tz->has_rule) {
        struct tz_segment r = tz_rule_segment(&tz->rule, unix_s);

        if (r.start_s > s.start_s)
            s.start_s = r.start_s;
        s.end_s = r.end_s;
        s.offset_s = r.offset_s;
    }
    return s;
}

enum tz_local tz_unix_of(const struct tz *tz, int64_t civil_s, int64_t *ret_unix_s)
{
    struct tz_segment s = tz_segment_at(tz, civil_s - AROUND_S);

    /* The segments that can show it, the earliest first. */
    for (;;) {
        int64_t at = civil_s - s.offset_s;
        struct tz_segment next;

        if (at < s.end_s) {
            *ret_unix_s = at >= s.start_s ? at : s.start_s;
            if (at < s.start_s)
                return TZ_LOCAL_GAP;
            if (s.end_s == INT64_MAX)
                return TZ_LOCAL_ONE;
            next = tz_segment_at(tz, s.end_s);
            return civil_s - next.offset_s >= s.end_s ? TZ_LOCAL_REPEATED : TZ_LOCAL_ONE;
        }
        s = tz_segment_at(tz, s.end_s);
    }
}
