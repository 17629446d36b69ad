#include "shared/err.h"

#include <stdarg.h>
#include <string.h>

struct entry {
    enum err err;
    enum err_class class;
    const char *name, *text;
};

static const struct entry table[] = {
#define X(name, value, cls, txt) {ERR_##name, ERR_CLASS_##cls, #name, txt},
    ERR_TABLE(X)
#undef X
};

static const struct entry *find(enum err e)
{
    static const struct entry unknown = {ERR_INTERNAL, ERR_CLASS_BUG, "INTERNAL",
                                         "unknown error"};

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (table[i].err == e)
            return &table[i];
    }
    return &unknown;
}

const char *err_name(enum err e)
{
    return find(e)->name;
}

const char *err_text(enum err e)
{
    return find(e)->text;
}

enum err_class err_class(enum err e)
{
    return find(e)->class;
}

const char *err_errno(int number)
{
    const char *text = strerrordesc_np(number);

    return text == NULL ? "unknown error" : text;
}

enum err err_from_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (strcmp(table[i].name, name) == 0)
            return table[i].err;
    }
    return ERR_INTERNAL;
}

enum err fault_set(struct fault *reterr, enum err e, int native, const char *fmt, ...)
{
    va_list ap;

    if (reterr == NULL)
        return e;
    reterr->err = e;
    reterr->native = native;
    va_start(ap, fmt);
    (void)vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
    va_end(ap);
    return e;
}
