#include "worker/lane.h"

#include <errno.h>

#include "worker/share.h"

#define SLOTS_MAX 10000

static size_t uncounted(const struct lane_load *load)
{
    size_t most = load->renderers + load->slow_waiting;

    return load->slow < most ? load->slow : most;
}

size_t lane_room(const struct lane *lane, const struct lane_load *load)
{
    size_t room = lane->slots > lane->held ? lane->slots - lane->held : 0;
    size_t bound = load->renderers + (load->renderers + 1) / 2 + uncounted(load);

    if (load->closed)
        return 0;
    if (!lane->pixels)
        return room;
    bound = bound > load->rendering ? bound - load->rendering : 0;
    return room < bound ? room : bound;
}

static bool is_pixel_queue(const char *queue)
{
    const struct spec_type *image = spec_find("image");

    return image != NULL && strcmp(image->default_queue, queue) == 0;
}

/* A number from 1 to max. */
static enum err parse_number(struct slice text, const char *what, size_t max, size_t *ret,
                             struct fault *reterr)
{
    char digits[8], *end;
    unsigned long n;

    if (!slice_to_cstr(text, digits, sizeof digits) || text.len == 0)
        return fault_set(reterr, ERR_MALFORMED, 0, "QUEUES: %s must be a number from 1 to %zu",
                         what, max);
    errno = 0;
    n = strtoul(digits, &end, 10);
    if (*end != '\0' || errno != 0 || n < 1 || n > max)
        return fault_set(reterr, ERR_MALFORMED, 0, "QUEUES: %s %s are out of range, 1 to %zu",
                         digits, what, max);
    *ret = n;
    return ERR_OK;
}

/* Cuts off what stands behind the first c; len 0 and ptr NULL: there is no c. */
static struct slice cut_behind(struct slice *text, char c)
{
    const char *found = memchr(text->ptr, c, text->len);
    struct slice behind = {NULL, 0};

    if (found == NULL)
        return behind;
    behind = slice_of(found + 1, text->len - (size_t)(found - text->ptr) - 1);
    *text = slice_of(text->ptr, (size_t)(found - text->ptr));
    return behind;
}

static enum err parse_one(struct slice name, size_t default_slots, struct lane *lane,
                          struct fault *reterr)
{
    struct slice slots = cut_behind(&name, '='), weight = cut_behind(&name, ':');
    size_t n = 1;
    enum err e = ERR_OK;

    memset(lane, 0, sizeof *lane);
    if (!job_name_is_valid(name))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "QUEUES: \"" SLICE_FMT
                         "\" is no queue name: 1 to %d of a-z 0-9 . _ -, first a letter",
                         SLICE_ARG(name), JOB_NAME_MAX);
    (void)slice_to_cstr(name, lane->queue, sizeof lane->queue);
    lane->slots = default_slots;
    lane->pixels = is_pixel_queue(lane->queue);
    if (weight.ptr != NULL)
        e = parse_number(weight, "weights", SHARE_WEIGHT_MAX, &n, reterr);
    if (e == ERR_OK && slots.ptr != NULL)
        e = parse_number(slots, "slots", SLOTS_MAX, &lane->slots, reterr);
    lane->weight = (unsigned)n;
    return e;
}

static bool is_taken(const struct lane *lanes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(lanes[i].queue, lanes[n].queue) == 0)
            return true;
    }
    return false;
}

enum err lanes_parse(const char *text, size_t default_slots, struct lane *lanes, size_t *ret_n,
                     struct fault *reterr)
{
    struct slice rest = slice_str(text);
    size_t n = 0;

    for (;;) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        struct slice one =
            slice_of(rest.ptr, comma == NULL ? rest.len : (size_t)(comma - rest.ptr));

        if (n == LANES_MAX)
            return fault_set(reterr, ERR_TOO_BIG, 0, "QUEUES: more than %d queues", LANES_MAX);
        if (parse_one(one, default_slots, &lanes[n], reterr) != ERR_OK)
            return reterr->err;
        if (is_taken(lanes, n))
            return fault_set(reterr, ERR_MALFORMED, 0, "QUEUES: %s is named twice",
                             lanes[n].queue);
        n++;
        if (comma == NULL)
            break;
        rest = slice_of(comma + 1, rest.len - one.len - 1);
    }
    *ret_n = n;
    return ERR_OK;
}

void lane_add(struct lane *lane, struct slot *s)
{
    s->next = lane->list;
    s->prev = &lane->list;
    if (s->next != NULL)
        s->next->prev = &s->next;
    lane->list = s;
    lane->held++;
}

void lane_remove(struct lane *lane, struct slot *s)
{
    *s->prev = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    lane->held--;
}
