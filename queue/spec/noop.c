#include "queue/spec/types.h"
#include "queue/spec/walk.h"

#define WORK_MS_MAX 60000

static enum err take_work_ms(void *out, const msgpack_object *v, const struct place *at,
                             struct spec_fault *ret)
{
    struct spec_noop *noop = out;

    return walk_uint(v, 0, WORK_MS_MAX, &noop->work_ms, at, ret);
}

static enum err take_fail_attempts(void *out, const msgpack_object *v, const struct place *at,
                                   struct spec_fault *ret)
{
    struct spec_noop *noop = out;
    uint32_t n = 0;
    enum err e = walk_uint(v, 0, JOB_ATTEMPTS_MAX, &n, at, ret);

    noop->fail_attempts = n;
    return e;
}

static enum err take_fail_final(void *out, const msgpack_object *v, const struct place *at,
                                struct spec_fault *ret)
{
    struct spec_noop *noop = out;

    return walk_bool(v, &noop->fail_final, at, ret);
}

static enum err take_clock(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct spec_noop *noop = out;

    return walk_bool(v, &noop->clock, at, ret);
}

static const struct walk_field fields[] = {
    {"payload", NULL, false},
    {"work_ms", take_work_ms, false},
    {"fail_attempts", take_fail_attempts, false},
    {"fail_final", take_fail_final, false},
    {"clock", take_clock, false},
};

enum err spec_noop_parse(const msgpack_object *args, const char *at, struct spec_noop *ret,
                         struct spec_fault *reterr)
{
    struct place root = place_root(at);
    struct spec_noop noop = {.work_ms = 0};
    enum err e = walk_map(args, WALK_TABLE(fields), &noop, &root, reterr);

    if (e == ERR_OK)
        *ret = noop;
    return e;
}

enum err spec_noop_check(const msgpack_object *args, const char *at, struct spec_fault *ret)
{
    struct spec_noop noop;

    return spec_noop_parse(args, at, &noop, ret);
}
