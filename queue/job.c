#include "queue/job.h"

static const struct {
    enum job_state state;
    const char *name;
    bool terminal;
} states[] = {
#define X(name, value, text, terminal) {JOB_##name, text, terminal},
    JOB_STATE_TABLE(X)
#undef X
};

static const char *const priorities[JOB_PRIORITIES] = {
    [JOB_PRIORITY_CRITICAL] = "critical",
    [JOB_PRIORITY_HIGH] = "high",
    [JOB_PRIORITY_NORMAL] = "normal",
    [JOB_PRIORITY_LOW] = "low",
};

const char *job_state_name(enum job_state s)
{
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (states[i].state == s)
            return states[i].name;
    }
    return "unknown";
}

bool job_state_is_terminal(enum job_state s)
{
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (states[i].state == s)
            return states[i].terminal;
    }
    return false;
}

bool job_state_parse(struct slice name, enum job_state *ret)
{
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (slice_is(name, states[i].name)) {
            *ret = states[i].state;
            return true;
        }
    }
    return false;
}

const char *job_priority_name(enum job_priority p)
{
    return (size_t)p < JOB_PRIORITIES ? priorities[p] : "unknown";
}

bool job_priority_parse(struct slice name, enum job_priority *ret)
{
    for (size_t i = 0; i < JOB_PRIORITIES; i++) {
        if (slice_is(name, priorities[i])) {
            *ret = (enum job_priority)i;
            return true;
        }
    }
    return false;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_name_char(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool job_key_is_valid(struct slice key)
{
    if (key.len == 0 || key.len > JOB_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if ((uint8_t)key.ptr[i] < 0x20 || key.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

bool job_name_is_valid(struct slice name)
{
    if (name.len == 0 || name.len > JOB_NAME_MAX || !is_letter(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (!is_name_char(name.ptr[i]))
            return false;
    }
    return true;
}
