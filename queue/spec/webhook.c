#include "queue/spec/types.h"
#include "queue/spec/walk.h"

#define EVENT_MAX     128
#define DEFAULT_EVENT "job.finished"

static enum err take_url(void *out, const msgpack_object *v, const struct place *at,
                         struct spec_fault *ret)
{
    struct spec_webhook *hook = out;

    return walk_url(v, &hook->url, at, ret);
}

static enum err take_body(void *out, const msgpack_object *v, const struct place *at,
                          struct spec_fault *ret)
{
    struct spec_webhook *hook = out;

    (void)at;
    (void)ret;
    hook->body = v;
    return ERR_OK;
}

/* Standard Webhooks: words of letters, digits and underscores, put together by dots. */
static bool is_event_name(struct slice s)
{
    char last = '.';

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_';

        if (!word && (c != '.' || last == '.'))
            return false;
        last = c;
    }
    return last != '.';
}

static enum err take_event(void *out, const msgpack_object *v, const struct place *at,
                           struct spec_fault *ret)
{
    struct spec_webhook *hook = out;
    enum err e = walk_text(v, EVENT_MAX, &hook->event, at, ret);

    if (e == ERR_OK && !is_event_name(hook->event))
        return walk_fault(at, ret,
                          "must be words of A-Z, a-z, 0-9 and '_' put together by "
                          "dots, as in " DEFAULT_EVENT);
    return e;
}

static const struct walk_field fields[] = {
    {"url", take_url, true},
    {"body", take_body, false},
    {"event", take_event, false},
};

enum err spec_webhook_parse(const msgpack_object *args, const char *at,
                            struct spec_webhook *ret, struct spec_fault *reterr)
{
    struct place root = place_root(at);
    struct spec_webhook hook = {.event = SLICE_LIT(DEFAULT_EVENT)};
    enum err e = walk_map(args, WALK_TABLE(fields), &hook, &root, reterr);

    if (e == ERR_OK)
        *ret = hook;
    return e;
}

enum err spec_webhook_check(const msgpack_object *args, const char *at, struct spec_fault *ret)
{
    struct spec_webhook hook;

    return spec_webhook_parse(args, at, &hook, ret);
}
