#include "worker/options.h"

#define AT(field) offsetof(struct worker_options, field)

/* clang-format off */
static const struct cfg_key keys[] = {
    {"REDIS_URL",       CFG_TEXT,  AT(redis_url),      NULL,     NULL, NULL, CFG_REQUIRED | CFG_SECRET, "where the queues live: redis://[user:password@]host:port[/db] or unix:///path/redis.sock[?db=n]"},
    {"PG_URL",          CFG_TEXT,  AT(pg_url),         NULL,     NULL, NULL, CFG_REQUIRED | CFG_SECRET, "where results are recorded: any libpq connection string or URL"},
    {"QUEUES",          CFG_TEXT,  AT(queues),         "default,image,notify", NULL, NULL, 0, "queues to take jobs from, comma-separated; name=N gives one its own number of slots"},
    {"INSTANCE",        CFG_TEXT,  AT(instance),       "1",      NULL, NULL, 0, "name of this worker on its host; unique there, the same after a restart"},
    {"HOST",            CFG_TEXT,  AT(host),           NULL,     NULL, NULL, 0, "name of this host; the system's host name when unset"},
    {"SPOOL_DIR",       CFG_TEXT,  AT(spool_dir),      NULL,     NULL, NULL, CFG_REQUIRED, "directory for work in progress; on the same file system as BLOB_DIR"},
    {"BLOB_DIR",        CFG_TEXT,  AT(blob_dir),       NULL,     NULL, NULL, CFG_REQUIRED, "directory for uploads and outputs, shared with the API"},
    {"PATH_ROOTS",      CFG_TEXT,  AT(path_roots),     NULL,     NULL, NULL, 0, "directories, colon-separated, from which jobs may name a source by path; none when unset"},
    {"SLOTS",           CFG_COUNT, AT(slots),          "256",    "1",  "10000", 0, "jobs in flight a queue, unless QUEUES says otherwise; image jobs are also bound by RENDERERS"},
    {"RENDERERS",       CFG_COUNT, AT(renderers),      "0",      "0",  "256", 0, "image processes; 0: one a core"},
    {"RENDER_PROGRAM",  CFG_TEXT,  AT(render_program), NULL,     NULL, NULL, 0, "the renderer; found beside the worker or in ../libexec/millrace when unset"},
    {"RENDER_RECYCLE_JOBS", CFG_COUNT, AT(recycle_jobs), "1000", "1",  "1000000", 0, "images after which a renderer is replaced"},
    {"RENDER_RECYCLE_RSS", CFG_BYTES, AT(recycle_rss), "512m",   "64m", "64g", 0, "resident memory above which a renderer is replaced after an image"},
    {"RENDER_MEMORY",   CFG_BYTES, AT(render_memory),  "2g",     "256m", "256g", 0, "address space a renderer may use"},
    {"SOURCE_BYTES",    CFG_BYTES, AT(source_bytes),   "64m",    "1k", "4g", 0, "largest source file"},
    {"SOURCE_TIMEOUT",  CFG_MS,    AT(source_timeout_ms), "30s", "100ms", "1h", 0, "longest time a source by URL may take, redirects included"},
    {"SOURCE_FETCHES",  CFG_COUNT, AT(source_fetches), "16",     "0",  "10000", 0, "sources by URL under way at once for which no renderer is kept free; further ones hold one each"},
    {"SOURCE_RATE",     CFG_BYTES, AT(source_rate),    "1k",     "0",  "1g", 0, "bytes a second below which a source by URL counts as stalled; 0: never"},
    {"SOURCE_STALL",    CFG_MS,    AT(source_stall_ms), "10s",   "1s", "10m", 0, "how long a source by URL may be stalled; whole seconds"},
    {"SOURCE_PIXELS",   CFG_COUNT, AT(source_pixels),  "100000000", "1", "10000000000", 0, "width x height x pages that a source may claim"},
    {"OUTPUT_PIXELS",   CFG_COUNT, AT(output_pixels),  "100000000", "1", "10000000000", 0, "width x height of one output"},
    {"WEBHOOK_SECRETS", CFG_TEXT,  AT(webhook_secrets), NULL,    NULL, NULL, CFG_SECRET, "signing keys of webhooks, whsec_ and base64, comma-separated: all of them sign (rotation); unset: webhooks are not signed"},
    {"WEBHOOK_TIMEOUT", CFG_MS,    AT(webhook_timeout_ms), "20s", "100ms", "5m", 0, "longest wait for a webhook's answer"},
    {"OUTGOING_ALLOW",  CFG_TEXT,  AT(outgoing_allow), NULL,     NULL, NULL, 0, "private addresses that webhooks and sources by URL may reach all the same: CIDRs, comma-separated"},
    {"CA_FILE",         CFG_TEXT,  AT(ca_file),        NULL,     NULL, NULL, 0, "certificate authorities for outgoing TLS; the system's when unset"},
    {"SMTP_URL",        CFG_TEXT,  AT(smtp_url),       NULL,     NULL, NULL, 0, "mail relay: smtp://host[:port] or smtps://host[:port]; e-mail jobs fail without one"},
    {"SMTP_USER",       CFG_TEXT,  AT(smtp_user),      NULL,     NULL, NULL, 0, "user at the relay"},
    {"SMTP_PASSWORD",   CFG_TEXT,  AT(smtp_password),  NULL,     NULL, NULL, CFG_SECRET, "password at the relay"},
    {"SMTP_TLS",        CFG_BOOL,  AT(smtp_tls),       "false",  NULL, NULL, 0, "refuse to send when the relay offers no STARTTLS"},
    {"MAIL_FROM",       CFG_TEXT,  AT(mail_from),      NULL,     NULL, NULL, 0, "sender of mails that name none: Name <address> or address"},
    {"BEAT",            CFG_MS,    AT(beat_ms),        "2s",     "50ms", "1m", 0, "how often the worker shows that it lives"},
    {"LEASE",           CFG_MS,    AT(lease_ms),       "10s",    "200ms", "10m", 0, "silence after which its jobs are given to others; at least three beats"},
    {"DRAIN",           CFG_MS,    AT(drain_ms),       "30s",    "0ms", "1h", 0, "at SIGTERM: how long running jobs may go on before they go back to their queue"},
    {"RETRY_BASE",      CFG_MS,    AT(retry_base_ms),  "1s",     "1ms", "1h", 0, "wait before the second attempt; doubles with each, with jitter"},
    {"RETRY_CAP",       CFG_MS,    AT(retry_cap_ms),   "1h",     "1ms", "7d", 0, "longest wait between attempts"},
    {"CRASHES_MAX",     CFG_COUNT, AT(crashes_max),    "5",      "1",  "100", 0, "workers that may die with the same job in their hands; then it is dead, whatever attempts it has left"},
    {"PG_CONNECTIONS",  CFG_COUNT, AT(pg_connections), "2",      "1",  "64", 0, "connections to PostgreSQL"},
    {"PG_PREPARED",     CFG_BOOL,  AT(pg_prepared),    "true",   NULL, NULL, 0, "use named prepared statements; off behind pgbouncer in transaction mode"},
    {"LEDGER_HELD",     CFG_COUNT, AT(ledger_held),    "10000",  "100", "1000000", 0, "results kept in memory while PostgreSQL is away; then the worker takes no more jobs"},
    {"SALVAGE_LOOK",    CFG_MS,    AT(salvage_look_ms), "1m",    "100ms", "1d", 0, "how often some worker looks for jobs whose row waits for an attempt and which Redis has lost"},
    {"SALVAGE_GRACE",   CFG_MS,    AT(salvage_grace_ms), "1m",   "0ms", "1d", 0, "how long after its next attempt was due such a job counts as lost"},
    {"METRICS_LISTEN",  CFG_TEXT,  AT(metrics_listen), NULL,     NULL, NULL, 0, "where Prometheus finds this worker's metrics: a numeric host:port or [v6]:port; nowhere when unset"},
    {"LOG_LEVEL",       CFG_CHOICE, AT(log_level),     "info",   "debug|info|warn|error|off", NULL, 0, "least serious event that is logged"},
    {"LOG_FORMAT",      CFG_CHOICE, AT(log_format),    "auto",   "auto|text|json", NULL, 0, "auto: text on a terminal, else one JSON line an event"},
};
/* clang-format on */

const struct cfg_spec worker_spec = {
    .program = "millrace-worker",
    .summary = "takes jobs from Redis, runs them, records what came of them in PostgreSQL",
    .keys = keys,
    .n_keys = COUNT_OF(keys),
};
