#include "cli/options.h"

#define AT(field) offsetof(struct options, field)

/* Nothing is required here: each command says what it misses (client.h). */
/* clang-format off */
static const struct cfg_key keys[] = {
    {"REDIS_URL", CFG_TEXT,   AT(redis_url),  NULL,  NULL, NULL, CFG_SECRET, "where the queues live: redis://[user:password@]host:port[/db] or unix:///path/redis.sock[?db=n]"},
    {"PG_URL",    CFG_TEXT,   AT(pg_url),     NULL,  NULL, NULL, CFG_SECRET, "where results are recorded: any libpq connection string or URL"},
    {"BLOB_DIR",  CFG_TEXT,   AT(blob_dir),   NULL,  NULL, NULL, 0, "directory for uploads and outputs, shared with the workers"},
    {"BLOB_GRACE", CFG_MS,    AT(blob_grace_ms), "1d", "1h", "365d", 0, "how long a file that no row names is left alone by sweep; not less than the workers' own"},
    {"TIMEOUT",   CFG_MS,     AT(timeout_ms), "5s",  "10ms", "10m", 0, "longest wait for a connection, and for an answer"},
    {"SCHEDULES_MAX", CFG_COUNT, AT(schedules_max), "1000", "1", "10000", 0, "schedules that a queue may have"},
    {"LOG_LEVEL", CFG_CHOICE, AT(log_level),  "off", "debug|info|warn|error|off", NULL, 0, "least serious event that is logged"},
};
/* clang-format on */

static const char *const positional[] = {"COMMAND", "[ARGUMENT...]", NULL};

const struct cfg_spec options_spec = {
    .program = "millrace",
    .summary = "puts jobs on the queues, shows what became of them, looks after the rest",
    .keys = keys,
    .n_keys = COUNT_OF(keys),
    .positional = positional,
};
