#include "worker/verdict.h"

#include "shared/backoff.h"

uint32_t verdict_counted(uint32_t attempt, uint32_t excused)
{
    return attempt > excused ? attempt - excused : 0;
}

static bool retry_can_help(enum err e)
{
    switch (err_class(e)) {
    case ERR_CLASS_RETRY:
    case ERR_CLASS_BUG: /* not understood, so not known to be final */
        return true;
    case ERR_CLASS_NONE:
    case ERR_CLASS_FINAL:
        break;
    }
    return false;
}

static uint64_t whole_delay(const struct retry_policy *p, const struct attempt_end *end,
                            uint32_t failures)
{
    uint64_t base = p->base_ms > 0 ? p->base_ms : end->retry_base_ms;
    uint64_t cap = p->cap_ms > 0 ? p->cap_ms : end->retry_cap_ms;

    switch (p->kind) {
    case RETRY_FIXED:
        return base;
    case RETRY_LIST:
        return p->delays_ms[failures < p->n_delays ? failures : p->n_delays - 1];
    case RETRY_EXPONENTIAL:
        break;
    }
    return backoff_whole(base, cap, failures);
}

static uint64_t policy_delay(const struct attempt_end *end, uint32_t failures)
{
    static const struct retry_policy usual = {.kind = RETRY_EXPONENTIAL, .jitter_pct = 50};
    const struct retry_policy *p = end->retry != NULL ? end->retry : &usual;

    return backoff_jitter(whole_delay(p, end, failures), p->jitter_pct);
}

struct verdict verdict_of(const struct attempt_end *end)
{
    uint32_t counted = verdict_counted(end->attempt, end->excused);
    uint64_t delay;

    if (end->err == ERR_OK)
        return (struct verdict){VERDICT_SUCCEEDED, 0};
    if (end->cancelled)
        return (struct verdict){VERDICT_CANCELLED, 0};
    if (end->err == ERR_EXPIRED)
        return (struct verdict){VERDICT_EXPIRED, 0};
    if (end->released)
        return (struct verdict){VERDICT_RELEASE, 0};
    if (!retry_can_help(end->err) || counted >= end->max_attempts)
        return (struct verdict){VERDICT_DEAD, 0};
    delay = policy_delay(end, counted > 0 ? counted - 1 : 0);
    if (end->retry_after_ms >= 0 && (uint64_t)end->retry_after_ms > delay)
        delay = (uint64_t)end->retry_after_ms;
    return (struct verdict){VERDICT_RETRY, delay};
}

enum job_state verdict_state(enum verdict_kind kind)
{
    switch (kind) {
    case VERDICT_SUCCEEDED:
        return JOB_SUCCEEDED;
    case VERDICT_DEAD:
        return JOB_DEAD;
    case VERDICT_RETRY:
        return JOB_RETRYING;
    case VERDICT_CANCELLED:
        return JOB_CANCELLED;
    case VERDICT_EXPIRED:
        return JOB_EXPIRED;
    case VERDICT_RELEASE:
        break;
    }
    return JOB_QUEUED;
}
