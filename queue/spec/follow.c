#include "queue/spec/walk.h"

struct entry {
    struct slice type, queue;
    enum follow_on on;
    const msgpack_object *args;
    const struct spec_type *spec;
};

static enum err take_type(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct entry *entry = out;
    char name[JOB_NAME_MAX + 1];
    enum err e = walk_name(v, &entry->type, at, ret);

    if (e != ERR_OK)
        return e;
    (void)slice_to_cstr(entry->type, name, sizeof name);
    entry->spec = spec_find(name);
    return entry->spec != NULL ? ERR_OK : walk_fault(at, ret, "is not a known job type");
}

/* Only kept: which type's rules they must meet may stand behind them. */
static enum err take_args(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct entry *entry = out;

    (void)at;
    (void)ret;
    entry->args = v;
    return ERR_OK;
}

static enum err take_queue(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct entry *entry = out;

    return walk_name(v, &entry->queue, at, ret);
}

static enum err take_on(void *out, const msgpack_object *v, const struct place *at,
                        struct spec_fault *ret)
{
    static const struct walk_word words[] = {{"success", FOLLOW_ON_SUCCESS},
                                             {"failure", FOLLOW_ON_FAILURE},
                                             {"always", FOLLOW_ALWAYS}};
    struct entry *entry = out;
    int on = FOLLOW_ON_SUCCESS;
    enum err e = walk_word(v, (struct walk_words){words, COUNT_OF(words), COUNT_OF(words)}, &on,
                           at, ret);

    entry->on = (enum follow_on)on;
    return e;
}

static const struct walk_field fields[] = {
    {"type", take_type, true},
    {"args", take_args, true},
    {"queue", take_queue, false},
    {"on", take_on, false},
};

static void keep(const struct entry *entry, struct follow_up *ret)
{
    struct slice queue = entry->queue;

    if (queue.len == 0)
        queue = slice_str(entry->spec->default_queue);
    ret->type = entry->spec;
    ret->on = entry->on;
    ret->args = entry->args;
    (void)slice_to_cstr(queue, ret->queue, sizeof ret->queue);
}

static enum err check_entry(const msgpack_object *o, struct entry *entry,
                            const struct place *at, struct spec_fault *reterr)
{
    struct place args_at = place_key(at, SLICE_LIT("args"));
    char pointer[sizeof reterr->pointer];
    enum err e = walk_map(o, WALK_TABLE(fields), entry, at, reterr);

    if (e != ERR_OK)
        return e;
    place_text(&args_at, pointer, sizeof pointer);
    return entry->spec->check(entry->args, pointer, reterr);
}

enum err spec_follow_ups(const msgpack_object *then, struct follow_up *ret, size_t *ret_n,
                         struct spec_fault *reterr)
{
    struct place root = place_root("/then");
    enum err e = walk_array(then, 0, JOB_FOLLOW_MAX, &root, reterr);

    for (uint32_t i = 0; e == ERR_OK && i < then->via.array.size; i++) {
        struct place here = place_index(&root, i);
        struct entry entry = {.on = FOLLOW_ON_SUCCESS};

        e = check_entry(&then->via.array.ptr[i], &entry, &here, reterr);
        if (e == ERR_OK && ret != NULL)
            keep(&entry, &ret[i]);
    }
    if (e == ERR_OK && ret_n != NULL)
        *ret_n = then->via.array.size;
    return e;
}
