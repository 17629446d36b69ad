#include "worker/lane.h"

#include <errno.h>

size_t lane_room(const struct lane *lane, const struct lane_load *load)
{
    size_t room = lane->slots > lane->held ? lane->slots - lane->held : 0;
    size_t bound = load->renderers + (load->renderers + 1) / 2;

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

static enum err parse_slots(struct slice text, size_t *ret, struct fault *reterr)
{
    char digits[8], *end;
    unsigned long n;

    if (!slice_to_cstr(text, digits, sizeof digits) || text.len == 0)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "QUEUES: slots must be a number from 1 to 10000");
    errno = 0;
    n = strtoul(digits, &end, 10);
    if (*end != '\0' || errno != 0 || n < 1 || n > 10000)
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "QUEUES: %s slots are out of range, 1 to 10000", digits);
    *ret = n;
    return ERR_OK;
}

static enum err parse_one(struct slice text, size_t default_slots, struct lane *lane,
                          struct fault *reterr)
{
    const char *eq = memchr(text.ptr, '=', text.len);
    struct slice name = slice_of(text.ptr, eq == NULL ? text.len : (size_t)(eq - text.ptr));

    memset(lane, 0, sizeof *lane);
    if (!job_name_is_valid(name))
        return fault_set(reterr, ERR_MALFORMED, 0,
                         "QUEUES: \"" SLICE_FMT
                         "\" is no queue name: 1 to %d of a-z 0-9 . _ -, first a letter",
                         SLICE_ARG(name), JOB_NAME_MAX);
    (void)slice_to_cstr(name, lane->queue, sizeof lane->queue);
    lane->slots = default_slots;
    lane->pixels = is_pixel_queue(lane->queue);
    if (eq == NULL)
        return ERR_OK;
    return parse_slots(slice_of(eq + 1, text.len - name.len - 1), &lane->slots, reterr);
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
