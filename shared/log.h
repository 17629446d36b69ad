/* log: one event a line on stderr.
 *
 *     log_info(&conn->log, "http.answered", LOG_U("status", 202), LOG_U("us", took));
 *
 * On a terminal:  22:43:01.123 info  http.answered conn=17 status=202 us=310
 * Otherwise:      {"time":"2026-…Z","level":"info","event":"http.answered","conn":17,"status":202,"us":310}
 *
 * The event is a constant to grep and count. Values from outside go in as LOG_S/LOG_SL and are
 * escaped, so that they cannot forge a line; text over 500 bytes is cut. Fields that would make
 * a line longer than 16 KiB are left out, and "cut" says so. A secret has no LOG_ macro: do not
 * log it. shared/ and queue/ log at debug only: who decides, logs, once.
 * Loop thread only (lines are written whole with one write(2), so processes do not mix). */
#ifndef SHARED_LOG_H
#define SHARED_LOG_H

#include "shared/slice.h"
#include "shared/uuid.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Who speaks: a chain, innermost first, each with one key. Owned by whom it describes. */
struct log_ctx {
    const struct log_ctx *up;
    const char *key;
    char value[UUID_TEXT_SIZE + 3];
};

enum log_kind { LOG_KIND_NONE, LOG_KIND_STR, LOG_KIND_UINT, LOG_KIND_INT, LOG_KIND_BOOL };
struct log_field {
    enum log_kind kind;
    const char *key;
    struct slice str;
    uint64_t num;
};

/* clang-format off */
#define LOG_S(k, v)  {LOG_KIND_STR, (k), slice_str(v), 0}
#define LOG_SL(k, v) {LOG_KIND_STR, (k), (v), 0}
#define LOG_U(k, v)  {LOG_KIND_UINT, (k), {NULL, 0}, (uint64_t)(v)}
#define LOG_I(k, v)  {LOG_KIND_INT, (k), {NULL, 0}, (uint64_t)(int64_t)(v)}
#define LOG_B(k, v)  {LOG_KIND_BOOL, (k), {NULL, 0}, (v) ? 1 : 0}
/* clang-format on */

#define log_at(level, ctx, event, ...)                                                         \
    do {                                                                                       \
        if ((level) >= log_threshold())                                                        \
            log_write(                                                                         \
                (level), (ctx), (event),                                                       \
                (const struct log_field[]){{.kind = LOG_KIND_NONE}, __VA_ARGS__},              \
                COUNT_OF(((const struct log_field[]){{.kind = LOG_KIND_NONE}, __VA_ARGS__}))); \
    } while (0)
#define log_debug(ctx, event, ...) log_at(LOG_DEBUG, ctx, event, __VA_ARGS__)
#define log_info(ctx, event, ...)  log_at(LOG_INFO, ctx, event, __VA_ARGS__)
#define log_warn(ctx, event, ...)  log_at(LOG_WARN, ctx, event, __VA_ARGS__)
#define log_error(ctx, event, ...) log_at(LOG_ERROR, ctx, event, __VA_ARGS__)

/* Process-wide; call once at start. program (borrowed for good; may be NULL) is shown in JSON
 * lines. LOG_FORMAT_AUTO: text if stderr is a terminal, else JSON. The level has a colour on a
 * terminal, unless NO_COLOR is set. */
void log_setup(const char *program, enum log_level threshold, enum log_format format);
enum log_level log_threshold(void);
MUST_USE bool log_level_parse(const char *name, enum log_level *ret);
/* ctx may be NULL. */
void log_write(enum log_level level, const struct log_ctx *ctx, const char *event,
               const struct log_field *fields, size_t n);
void log_ctx_init(struct log_ctx *ctx, const struct log_ctx *up, const char *key,
                  const char *value);
/* Tests only: lines, each with its newline, go to this function instead of stderr; NULL goes
 * back. */
void log_capture(void (*sink)(void *arg, const char *line, size_t len), void *arg);

#endif
