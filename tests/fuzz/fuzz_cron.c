/* An expression, a zone file and a moment from a stranger: the first byte chooses the zone, eight bytes are the
 * moment, the expression ends at a newline, a zone file may follow. What is taken fires ever later, and a
 * fixed time no earlier than its zone's clock allows; the rest is refused with a reason. */
#include <stdlib.h>
#include <string.h>

#include "shared/civil.h"
#include "shared/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err choose_zone(uint8_t choice, struct slice file, struct tz **ret)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York",
                                        "Australia/Lord_Howe", "Asia/Kolkata"};
    struct fault why = {.text = ""};
    enum err e = choice % 8 < COUNT_OF(zones) ? tz_load(slice_str(zones[choice % 8]), ret, &why)
                                              : tz_parse(file, ret, &why);

    must((e == ERR_OK) == (why.text[0] == '\0'));
    return e;
}

static void check_ticks(const struct cron *c, const struct tz *tz, int64_t at_s)
{
    for (int i = 0; i < 8; i++) {
        int64_t next_s = -1, again_s = -1;

        if (cron_next(c, tz, at_s, &next_s) != ERR_OK)
            return;
        must(next_s > at_s && next_s <= CIVIL_MAX_S);
        /* Nothing lies between: asked from just before, the same comes out. */
        must(next_s - 1 == at_s || cron_next(c, tz, next_s - 1, &again_s) == ERR_OK);
        must(next_s - 1 == at_s || again_s == next_s);
        at_s = next_s;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text, file = {"", 0};
    struct fault why = {.text = ""};
    struct cron c;
    struct tz *tz = NULL;
    uint64_t moment = 0;
    const char *end;
    enum err e;

    if (size < 9)
        return 0;
    for (size_t i = 1; i < 9; i++)
        moment = moment << 8 | data[i];
    text = slice_of(data + 9, size - 9);
    end = text.len == 0 ? NULL : memchr(text.ptr, '\n', text.len);
    if (end != NULL) {
        file = slice_of(end + 1, text.len - (size_t)(end - text.ptr) - 1);
        text = slice_of(text.ptr, (size_t)(end - text.ptr));
    }
    e = cron_parse(text, &c, &why);
    must(e == ERR_OK || (e == ERR_MALFORMED && why.text[0] != '\0'));
    if (choose_zone(data[0], file, &tz) == ERR_OK && e == ERR_OK)
        check_ticks(&c, tz, (int64_t)(moment % (uint64_t)CIVIL_MAX_S));
    tz_free(&tz);
    return 0;
}
