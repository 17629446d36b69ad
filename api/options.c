#include "api/options.h"

#define AT(field) offsetof(struct api_options, field)

/* clang-format off */
static const struct cfg_key keys[] = {
    {"LISTEN",         CFG_TEXT,  AT(listen),        "127.0.0.1:8080", NULL, NULL, 0, "addresses to listen on, comma-separated: host:port, [v6]:port or unix:/path; sockets handed over by systemd win"},
    {"REDIS_URL",      CFG_TEXT,  AT(redis_url),     NULL,   NULL, NULL, CFG_REQUIRED | CFG_SECRET, "where the queues live: redis://[user:password@]host:port[/db] or unix:///path/redis.sock[?db=n]"},
    {"PG_URL",         CFG_TEXT,  AT(pg_url),        NULL,   NULL, NULL, CFG_REQUIRED | CFG_SECRET, "where results are recorded: any libpq connection string or URL"},
    {"BLOB_DIR",       CFG_TEXT,  AT(blob_dir),      NULL,   NULL, NULL, CFG_REQUIRED, "directory for uploads and outputs, shared with the workers"},
    {"CONNECTIONS",    CFG_COUNT, AT(connections),   "10000", "1", "100000", 0, "clients at once; more wait in the kernel's backlog"},
    {"HEAD_MAX",       CFG_BYTES, AT(head_max),      "16k",  "1k", "64k", 0, "largest request head"},
    {"HEADERS_MAX",    CFG_COUNT, AT(headers_max),   "64",   "8", "64", 0, "most header fields of a request"},
    {"BODY_MAX",       CFG_BYTES, AT(body_max),      "256k", "1k", "256k", 0, "largest JSON body"},
    {"BODIES_MAX",     CFG_BYTES, AT(bodies_max),    "64m",  "1m", "16g", 0, "request bodies held in memory at once, all clients together; over it 503"},
    {"UPLOAD_MAX",     CFG_BYTES, AT(upload_max),    "64m",  "1k", "4g", 0, "largest upload"},
    {"DEPTH_MAX",      CFG_COUNT, AT(depth_max),     "16",   "4", "16", 0, "deepest nesting of JSON"},
    {"HEAD_TIMEOUT",   CFG_MS,    AT(head_ms),       "10s",  "100ms", "5m", 0, "time for a whole request head, from its first byte"},
    {"BODY_TIMEOUT",   CFG_MS,    AT(body_ms),       "30s",  "100ms", "10m", 0, "time for a whole JSON body"},
    {"UPLOAD_TIMEOUT", CFG_MS,    AT(upload_ms),     "10m",  "100ms", "1d", 0, "time for a whole upload"},
    {"IDLE_TIMEOUT",   CFG_MS,    AT(idle_ms),       "60s",  "100ms", "1h", 0, "time between two requests of one connection"},
    {"WRITE_TIMEOUT",  CFG_MS,    AT(write_ms),      "30s",  "100ms", "10m", 0, "time that a client may take nothing of its answer"},
    {"DRAIN",          CFG_MS,    AT(drain_ms),      "10s",  "0ms", "10m", 0, "at SIGTERM: how long requests under way may go on"},
    {"UPLOAD_TTL",     CFG_MS,    AT(upload_ttl_ms), "1d",   "1s", "365d", 0, "how long an upload is kept"},
    {"IMAGE_OUTPUTS",  CFG_COUNT, AT(image_outputs), "32",   "1",  "32", 0, "most outputs of an image job"},
    {"IMAGE_OPS",      CFG_COUNT, AT(image_ops),     "16",   "0",  "16", 0, "most operations of an output"},
    {"IMAGE_MARKS",    CFG_COUNT, AT(image_marks),   "8",    "0",  "8", 0, "most files of an image job's watermarks"},
    {"RECIPE_AGE",     CFG_MS,    AT(recipe_age_ms), "2s",   "10ms", "1h", 0, "how long a recipe is used without asking again; what another API process has put or deleted shows by then"},
    {"IDEMPOTENCY_TTL", CFG_MS,  AT(idempotency_ms), "1d",   "1s", "30d", 0, "how long the answer to a request with an Idempotency-Key is kept"},
    {"BATCH_JOBS",     CFG_COUNT, AT(batch_jobs),    "1000", "1", "10000", 0, "most jobs of one JSON batch"},
    {"BATCH_BODY_MAX", CFG_BYTES, AT(batch_body_max), "4m",  "1k", "64m", 0, "largest JSON batch"},
    {"BATCH_RECIPES",  CFG_COUNT, AT(batch_recipes), "100",  "1", "1000", 0, "most different recipes that the jobs of one JSON batch may name"},
    {"LINE_MAX",       CFG_BYTES, AT(line_max),      "256k", "256", "1m", 0, "longest line of an NDJSON batch; of lines there may be any number"},
    {"PENDING_JOBS",   CFG_COUNT, AT(pending_jobs),  "20000", "1", "1000000", 0, "jobs on their way to Redis at once; over it 503"},
    {"SCHEDULES_MAX",  CFG_COUNT, AT(schedules_max), "1000", "1", "10000", 0, "schedules that a queue may have"},
    {"WATCHERS",       CFG_COUNT, AT(watchers),      "1000", "0", "100000", 0, "clients at once that read a job's events or wait for its end; over it 503, and no waiting"},
    {"WAIT_MAX",       CFG_MS,    AT(wait_max_ms),   "60s",  "0ms", "10m", 0, "longest wait that Prefer: wait may ask for; 0: none"},
    {"HEARTBEAT",      CFG_MS,    AT(heartbeat_ms),  "15s",  "100ms", "5m", 0, "silence after which a stream of events carries a comment"},
    {"REDIS_TIMEOUT",  CFG_MS,    AT(redis_ms),      "5s",   "10ms", "1m", 0, "longest wait for Redis"},
    {"PG_CONNECTIONS", CFG_COUNT, AT(pg_connections), "2",   "1",  "64", 0, "connections to PostgreSQL"},
    {"PG_PREPARED",    CFG_BOOL,  AT(pg_prepared),   "true", NULL, NULL, 0, "use named prepared statements; off behind pgbouncer in transaction mode"},
    {"LOG_LEVEL",      CFG_CHOICE, AT(log_level),    "info", "debug|info|warn|error|off", NULL, 0, "least serious event that is logged"},
    {"LOG_FORMAT",     CFG_CHOICE, AT(log_format),   "auto", "auto|text|json", NULL, 0, "auto: text on a terminal, else one JSON line an event"},
};
/* clang-format on */

const struct cfg_spec api_spec = {
    .program = "millrace-api",
    .summary = "takes jobs over HTTP, puts them on Redis, tells what came of them",
    .keys = keys,
    .n_keys = COUNT_OF(keys),
};
