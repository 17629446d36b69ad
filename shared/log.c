#include "shared/log.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "shared/clock.h"

enum {
    LINE_MAX_BYTES = 16384,
    TAIL_BYTES = 32, /* kept free for what closes a line, so that a cut line is still whole */
    TEXT_MAX_BYTES = 500,
    COLUMN_EVENT = 5, /* the longest level name */
};

static struct {
    const char *program;
    enum log_level threshold;
    bool json, colour;
    void (*sink)(void *arg, const char *line, size_t len);
    void *sink_arg;
} state = {.threshold = LOG_INFO};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn",
    [LOG_ERROR] = "error", [LOG_OFF] = "off",
};

static const char *const level_colours[] = {
    [LOG_DEBUG] = "\033[2m",  [LOG_INFO] = "\033[32m", [LOG_WARN] = "\033[33m",
    [LOG_ERROR] = "\033[31m", [LOG_OFF] = "",
};

/* A line grows here and not in a buf: a log that allocates is silent when memory runs out. */
struct line {
    size_t len;
    bool full;
    char data[LINE_MAX_BYTES];
};

static void add(struct line *l, const char *bytes, size_t len)
{
    if (l->full || len > sizeof l->data - TAIL_BYTES - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->data + l->len, bytes, len);
    l->len += len;
}

static void add_str(struct line *l, const char *s)
{
    add(l, s, strlen(s));
}

/* Past the limit that add() keeps: for the few bytes that end a line. */
static void add_tail(struct line *l, const char *s)
{
    size_t len = strlen(s);

    must(len <= sizeof l->data - l->len);
    memcpy(l->data + l->len, s, len);
    l->len += len;
}

/* --- escaping ------------------------------------------------------------------------------ */

/* How long the character is that begins with this byte; 0: none does. */
static size_t utf8_len(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0)
        return 2;
    return first < 0xf0 ? 3 : 4;
}

/* One code point of UTF-8 as RFC 3629 has it. Gives its length, or 0 if the bytes are none. */
static size_t utf8_next(const unsigned char *p, size_t left, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = utf8_len(p[0]);
    uint32_t c = p[0];

    if (len == 0 || len > left)
        return 0;
    if (len > 1)
        c &= 0x7fU >> len;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return len;
}

/* What could end a line, drive a terminal, or turn the reading direction round. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void add_escaped(struct line *l, uint32_t c)
{
    static const char names[] = "\"\"\\\\\nn\rr\tt"; /* the byte, then its letter */
    char hex[8];

    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if (c == (unsigned char)names[i]) {
            add(l, (const char[]){'\\', names[i + 1]}, 2);
            return;
        }
    }
    add(l, hex, (size_t)snprintf(hex, sizeof hex, "\\u%04x", (unsigned)c));
}

/* As a JSON string; cut at a character where it is longer than TEXT_MAX_BYTES. */
static void add_quoted(struct line *l, struct slice s)
{
    size_t i = 0;

    add_str(l, "\"");
    while (i < s.len && i < TEXT_MAX_BYTES) {
        const char *at = s.ptr + i;
        uint32_t c = 0;
        size_t n = utf8_next((const unsigned char *)at, s.len - i, &c);

        if (n == 0)
            add_str(l, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\' || is_unsafe(c))
            add_escaped(l, c);
        else
            add(l, at, n);
        i += n == 0 ? 1 : n;
    }
    if (i < s.len)
        add_str(l, "\xe2\x80\xa6");
    add_str(l, "\"");
}

/* Words that need no quotes in text mode. */
static bool is_plain(struct slice s)
{
    if (s.len == 0 || s.len > TEXT_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return true;
}

/* A context value that is a number stays one: "17", not "017" and nothing that could round. */
static bool is_number(struct slice s)
{
    if (s.len == 0 || s.len > 15 || (s.ptr[0] == '0' && s.len > 1))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return true;
}

/* --- fields -------------------------------------------------------------------------------- */

static void add_text(struct line *l, struct slice s)
{
    if (!state.json && is_plain(s))
        add(l, s.ptr, s.len);
    else
        add_quoted(l, s);
}

static void add_key(struct line *l, const char *key)
{
    add_str(l, state.json ? ",\"" : " ");
    add_str(l, key);
    add_str(l, state.json ? "\":" : "=");
}

static void add_value(struct line *l, const struct log_field *f)
{
    char number[24];

    switch (f->kind) {
    case LOG_KIND_STR:
        add_text(l, f->str);
        break;
    case LOG_KIND_UINT:
        add(l, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, f->num));
        break;
    case LOG_KIND_INT:
        add(l, number, (size_t)snprintf(number, sizeof number, "%" PRId64, (int64_t)f->num));
        break;
    case LOG_KIND_BOOL:
        add_str(l, f->num != 0 ? "true" : "false");
        break;
    case LOG_KIND_NONE:
        break;
    }
}

/* A field that does not fit is left out whole, and with it all that follow. */
static void add_field(struct line *l, const struct log_field *f)
{
    size_t before = l->len;

    if (f->kind == LOG_KIND_NONE)
        return;
    add_key(l, f->key);
    add_value(l, f);
    if (l->full)
        l->len = before;
}

static void add_ctx(struct line *l, const struct log_ctx *ctx)
{
    for (; ctx != NULL; ctx = ctx->up) {
        struct slice value = slice_str(ctx->value);

        if (ctx->key == NULL)
            continue;
        add_key(l, ctx->key);
        if (is_number(value))
            add(l, value.ptr, value.len);
        else
            add_text(l, value);
    }
}

static void add_head(struct line *l, enum log_level level, const char *event)
{
    char time[CLOCK_RFC3339_SIZE];
    char head[64];

    (void)clock_rfc3339(clock_wall_ms(), time);
    if (!state.json) {
        (void)snprintf(head, sizeof head, "%.12s %s%-*s%s ", time + 11,
                       state.colour ? level_colours[level] : "", COLUMN_EVENT,
                       level_names[level], state.colour ? "\033[0m" : "");
        add_str(l, head);
        add_str(l, event);
        return;
    }
    add_str(l, "{\"time\":\"");
    add_str(l, time);
    (void)snprintf(head, sizeof head, "\",\"level\":\"%s\",\"event\":", level_names[level]);
    add_str(l, head);
    add_quoted(l, slice_str(event));
    if (state.program != NULL) {
        add_key(l, "program");
        add_quoted(l, slice_str(state.program));
    }
}

static void emit(const char *line, size_t len)
{
    ssize_t n;

    if (state.sink != NULL) {
        state.sink(state.sink_arg, line, len);
        return;
    }
    do {
        n = write(STDERR_FILENO, line, len);
        if (n > 0) {
            line += n;
            len -= (size_t)n;
        }
    } while (len > 0 && (n > 0 || (n < 0 && errno == EINTR)));
}

/* --- the interface ------------------------------------------------------------------------- */

void log_write(enum log_level level, const struct log_ctx *ctx, const char *event,
               const struct log_field *fields, size_t n)
{
    struct line l;
    int saved = errno; /* callers log between a failure and its report */

    if (level < state.threshold || level >= LOG_OFF)
        return;
    l.len = 0;
    l.full = false;
    add_head(&l, level, event);
    add_ctx(&l, ctx);
    for (size_t i = 0; i < n && !l.full; i++)
        add_field(&l, &fields[i]);
    if (l.full)
        add_tail(&l, state.json ? ",\"cut\":true" : " cut=true");
    add_tail(&l, state.json ? "}\n" : "\n");
    emit(l.data, l.len);
    errno = saved;
}

static bool env_set(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && value[0] != '\0';
}

void log_setup(const char *program, enum log_level threshold, enum log_format format)
{
    bool terminal = isatty(STDERR_FILENO) == 1;

    state.program = program;
    state.threshold = threshold;
    state.json = format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !terminal);
    state.colour = terminal && !env_set("NO_COLOR");
}

enum log_level log_threshold(void)
{
    return state.threshold;
}

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_ctx_init(struct log_ctx *ctx, const struct log_ctx *up, const char *key,
                  const char *value)
{
    ctx->up = up;
    ctx->key = key;
    (void)slice_to_cstr(slice_str(value), ctx->value, sizeof ctx->value);
}

void log_capture(void (*sink)(void *arg, const char *line, size_t len), void *arg)
{
    state.sink = sink;
    state.sink_arg = arg;
}
