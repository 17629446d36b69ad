#include "queue/ledger_internal.h"
#include "shared/utf8.h"

/* What one row costs in a statement beside its bytes: about, for the limit of a batch. */
#define ROW_OVERHEAD 200

/* --- copying ---------------------------------------------------------------------------------- */

/* Copies at most cap bytes, every byte that is part of no character as U+FFFD. */
static size_t copy_text(struct slice s, char *dst, size_t cap)
{
    static const struct slice replacement = {"\xef\xbf\xbd", 3};
    size_t at = 0;
    size_t len = 0;

    while (at < s.len) {
        size_t n = s.ptr[at] == '\0' ? 0 : utf8_step(s.ptr + at, s.len - at);
        struct slice c = n == 0 ? replacement : slice_of(s.ptr + at, n);

        if (len + c.len > cap)
            break;
        memcpy(dst + len, c.ptr, c.len);
        len += c.len;
        at += n == 0 ? 1 : n;
    }
    return len;
}

/* Where the next bytes go; with a NULL `at` only their number is counted. */
struct space {
    char *at;
    size_t used;
};

static struct slice put_text(struct space *sp, struct slice s, size_t max)
{
    char *dst = sp->at == NULL ? NULL : sp->at + sp->used;
    size_t room = s.len * 3 < max ? s.len * 3 : max;
    size_t len = dst == NULL ? room : copy_text(s, dst, room);

    if (dst != NULL)
        dst[len] = '\0';
    sp->used += (dst == NULL ? room : len) + 1;
    return slice_of(dst, len);
}

static const char *put_cstr(struct space *sp, const char *s)
{
    return put_text(sp, slice_str(s), SIZE_MAX).ptr;
}

static struct slice put_bytes(struct space *sp, struct slice s)
{
    char *dst = sp->at == NULL ? NULL : sp->at + sp->used;

    if (dst != NULL && s.len > 0)
        memcpy(dst, s.ptr, s.len);
    sp->used += s.len;
    return slice_of(dst, s.len);
}

static void put_outputs(struct space *sp, const struct ledger_outcome *from,
                        struct ledger_output *outputs)
{
    for (size_t i = 0; i < from->n_outputs; i++) {
        struct ledger_output copy = from->outputs[i];

        copy.name = put_cstr(sp, copy.name);
        copy.file = put_cstr(sp, copy.file);
        copy.format = put_cstr(sp, copy.format);
        if (outputs != NULL)
            outputs[i] = copy;
    }
}

static struct ledger_outcome put_outcome(struct space *sp, const struct ledger_outcome *from,
                                         struct ledger_output *outputs)
{
    struct ledger_outcome to = *from;

    to.queue = put_cstr(sp, from->queue);
    to.type = put_cstr(sp, from->type);
    to.worker = put_cstr(sp, from->worker);
    if (from->error != NULL)
        to.error = put_cstr(sp, from->error);
    to.error_text = put_text(sp, from->error_text, LEDGER_ERROR_TEXT_MAX);
    to.item = put_bytes(sp, from->item);
    to.result_json = put_bytes(sp, from->result_json);
    put_outputs(sp, from, outputs);
    to.outputs = outputs;
    return to;
}

struct held *held_new(const struct ledger_outcome *o, ledger_recorded_fn *cb, void *arg)
{
    struct space sp = {NULL, 0};
    size_t fixed = sizeof(struct held) + o->n_outputs * sizeof(struct ledger_output);
    struct ledger_output *outputs;
    struct held *h;

    (void)put_outcome(&sp, o, NULL);
    h = malloc(fixed + sp.used);
    if (h == NULL)
        return NULL;
    outputs = (void *)(h + 1);
    sp = (struct space){(char *)(outputs + o->n_outputs), 0};
    *h = (struct held){.cb = cb, .arg = arg, .o = put_outcome(&sp, o, outputs)};
    h->bytes = sp.used + ROW_OVERHEAD * (1 + o->n_outputs);
    return h;
}

void held_free(struct held **h)
{
    free(*h);
    *h = NULL;
}
