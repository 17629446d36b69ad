#include "queue/spec/walk.h"

#define JITTER_DEFAULT 50

static enum err take_policy(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    static const struct walk_word words[] = {
        {"exponential", RETRY_EXPONENTIAL}, {"fixed", RETRY_FIXED}, {"list", RETRY_LIST}};
    struct retry_policy *p = out;
    int value = RETRY_EXPONENTIAL;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)},
                           &value, at, ret);

    p->kind = (enum retry_kind)value;
    return e;
}

static enum err take_base(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct retry_policy *p = out;

    return walk_uint(v, 1, SPEC_RETRY_DELAY_MAX, &p->base_ms, at, ret);
}

static enum err take_cap(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct retry_policy *p = out;

    return walk_uint(v, 1, SPEC_RETRY_DELAY_MAX, &p->cap_ms, at, ret);
}

static enum err take_jitter(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct retry_policy *p = out;

    return walk_uint(v, 0, 100, &p->jitter_pct, at, ret);
}

static enum err take_delays(void *out, const msgpack_object *v, const struct place *at,
                            struct spec_fault *ret)
{
    struct retry_policy *p = out;
    enum err e = walk_array(v, 1, SPEC_RETRY_DELAYS_MAX, at, ret);

    for (uint32_t i = 0; e == ERR_OK && i < v->via.array.size; i++) {
        struct place here = place_index(at, i);

        e = walk_uint(&v->via.array.ptr[i], 0, SPEC_RETRY_DELAY_MAX, &p->delays_ms[i], &here,
                      ret);
    }
    if (e == ERR_OK)
        p->n_delays = v->via.array.size;
    return e;
}

static const struct walk_field fields[] = {
    {"policy", take_policy, false},    {"base_ms", take_base, false},
    {"cap_ms", take_cap, false},       {"jitter_pct", take_jitter, false},
    {"delays_ms", take_delays, false},
};

enum err spec_retry_parse(const msgpack_object *o, const struct place *at,
                          struct retry_policy *ret, struct spec_fault *reterr)
{
    struct retry_policy p = {.kind = RETRY_EXPONENTIAL, .jitter_pct = JITTER_DEFAULT};
    struct place delays = place_key(at, SLICE_LIT("delays_ms"));
    enum err e = walk_map(o, WALK_TABLE(fields), &p, at, reterr);

    if (e != ERR_OK)
        return e;
    if (p.kind == RETRY_LIST && p.n_delays == 0)
        return walk_fault(&delays, reterr, "is required by the policy list");
    if (p.kind != RETRY_LIST && p.n_delays > 0)
        return walk_fault(&delays, reterr, "is for the policy list alone");
    *ret = p;
    return ERR_OK;
}
