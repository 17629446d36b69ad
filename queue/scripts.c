#include "queue/scripts.h"

#include "shared/buf.h"

/* Generated from queue/lua by the Makefile; each ends with a NUL. */
/* clang-format off */
#define TEXT static const unsigned char
TEXT part_keys[] = {
#include "queue/lua/part_keys.lua.inc"
};
TEXT part_time[] = {
#include "queue/lua/part_time.lua.inc"
};
TEXT part_watch[] = {
#include "queue/lua/part_watch.lua.inc"
};
TEXT part_cancel[] = {
#include "queue/lua/part_cancel.lua.inc"
};
TEXT part_state[] = {
#include "queue/lua/part_state.lua.inc"
};
TEXT part_id[] = {
#include "queue/lua/part_id.lua.inc"
};
TEXT part_ready[] = {
#include "queue/lua/part_ready.lua.inc"
};
TEXT part_slots[] = {
#include "queue/lua/part_slots.lua.inc"
};
TEXT part_limits[] = {
#include "queue/lua/part_limits.lua.inc"
};
TEXT part_pick[] = {
#include "queue/lua/part_pick.lua.inc"
};
TEXT part_tend[] = {
#include "queue/lua/part_tend.lua.inc"
};
TEXT part_beat[] = {
#include "queue/lua/part_beat.lua.inc"
};
TEXT part_schedules[] = {
#include "queue/lua/part_schedules.lua.inc"
};
TEXT part_due[] = {
#include "queue/lua/part_due.lua.inc"
};
TEXT part_promote[] = {
#include "queue/lua/part_promote.lua.inc"
};
TEXT part_give_back[] = {
#include "queue/lua/part_give_back.lua.inc"
};
TEXT part_ours[] = {
#include "queue/lua/part_ours.lua.inc"
};
TEXT part_unique[] = {
#include "queue/lua/part_unique.lua.inc"
};
TEXT part_caps[] = {
#include "queue/lua/part_caps.lua.inc"
};
TEXT move_enqueue[] = {
#include "queue/lua/enqueue.lua.inc"
};
TEXT move_enqueue_checked[] = {
#include "queue/lua/enqueue_checked.lua.inc"
};
TEXT move_caps[] = {
#include "queue/lua/caps.lua.inc"
};
TEXT move_idem[] = {
#include "queue/lua/idem.lua.inc"
};
TEXT move_claim[] = {
#include "queue/lua/claim.lua.inc"
};
TEXT move_settle[] = {
#include "queue/lua/settle.lua.inc"
};
TEXT move_progress[] = {
#include "queue/lua/progress.lua.inc"
};
TEXT move_register[] = {
#include "queue/lua/register.lua.inc"
};
TEXT move_unregister[] = {
#include "queue/lua/unregister.lua.inc"
};
TEXT move_beat[] = {
#include "queue/lua/beat.lua.inc"
};
TEXT move_reconcile[] = {
#include "queue/lua/reconcile.lua.inc"
};
TEXT move_reap[] = {
#include "queue/lua/reap.lua.inc"
};
TEXT move_cancel[] = {
#include "queue/lua/cancel.lua.inc"
};
TEXT move_wake[] = {
#include "queue/lua/wake.lua.inc"
};
TEXT move_pause[] = {
#include "queue/lua/pause.lua.inc"
};
TEXT move_limits[] = {
#include "queue/lua/limits.lua.inc"
};
TEXT move_explain[] = {
#include "queue/lua/explain.lua.inc"
};
TEXT move_list[] = {
#include "queue/lua/list.lua.inc"
};
TEXT move_counts[] = {
#include "queue/lua/counts.lua.inc"
};
TEXT move_workers[] = {
#include "queue/lua/workers.lua.inc"
};
TEXT move_schedule_due[] = {
#include "queue/lua/schedule_due.lua.inc"
};
TEXT move_schedule_fire[] = {
#include "queue/lua/schedule_fire.lua.inc"
};
TEXT move_schedule_put[] = {
#include "queue/lua/schedule_put.lua.inc"
};
TEXT move_schedule_get[] = {
#include "queue/lua/schedule_get.lua.inc"
};
TEXT move_schedule_remove[] = {
#include "queue/lua/schedule_remove.lua.inc"
};
TEXT move_schedule_list[] = {
#include "queue/lua/schedule_list.lua.inc"
};
TEXT move_batch_open[] = {
#include "queue/lua/batch_open.lua.inc"
};
TEXT move_batch_end[] = {
#include "queue/lua/batch_end.lua.inc"
};
TEXT move_batch_close[] = {
#include "queue/lua/batch_close.lua.inc"
};
TEXT move_batch_look[] = {
#include "queue/lua/batch_look.lua.inc"
};
TEXT move_batch_drop[] = {
#include "queue/lua/batch_drop.lua.inc"
};
#undef TEXT
/* clang-format on */

/* Redis reads the flags from the first line. Without allow-oom it refuses a script as a whole at
 * maxmemory, before it has changed anything. */
#define PRODUCES  "#!lua\n"
#define DRAINS    "#!lua flags=allow-oom\n"
#define LOOKS     "#!lua flags=no-writes\n"

#define PARTS_MAX 16

struct recipe {
    const char *name, *flags;
    const unsigned char *move;
    const unsigned char *parts[PARTS_MAX + 1]; /* NULL ends */
};

static const struct recipe recipes[QUEUE_SCRIPTS] = {
    [QUEUE_ENQUEUE] = {"enqueue", PRODUCES, move_enqueue, {NULL}},
    [QUEUE_FOLLOW] = {"follow", DRAINS, move_enqueue, {NULL}},
    [QUEUE_ENQUEUE_CHECKED] = {"enqueue_checked",
                               PRODUCES,
                               move_enqueue_checked,
                               {part_keys, part_time, part_watch, part_state, part_id,
                                part_ready, part_due, part_unique, part_caps, NULL}},
    [QUEUE_CAPS] = {"caps", DRAINS, move_caps, {part_keys, NULL}},
    [QUEUE_IDEM] = {"idem", PRODUCES, move_idem, {part_time, NULL}},
    [QUEUE_CLAIM] = {"claim",
                     DRAINS,
                     move_claim,
                     {part_keys, part_time, part_watch, part_state, part_id, part_ready,
                      part_due, part_promote, part_slots, part_limits, part_pick, NULL}},
    [QUEUE_SETTLE] = {"settle",
                      DRAINS,
                      move_settle,
                      {part_keys, part_time, part_watch, part_cancel, part_state, part_ready,
                       part_due, part_ours, part_slots, part_unique, NULL}},
    [QUEUE_PROGRESS] = {"progress",
                        DRAINS,
                        move_progress,
                        {part_keys, part_watch, part_state, part_ours, NULL}},
    [QUEUE_CANCEL] = {"cancel",
                      DRAINS,
                      move_cancel,
                      {part_keys, part_time, part_watch, part_cancel, part_state, part_id,
                       part_ready, NULL}},
    [QUEUE_REGISTER] = {"register",
                        DRAINS,
                        move_register,
                        {part_keys, part_time, part_watch, part_cancel, part_state, part_ready,
                         part_slots, part_give_back, NULL}},
    [QUEUE_UNREGISTER] = {"unregister",
                          DRAINS,
                          move_unregister,
                          {part_keys, part_time, part_watch, part_cancel, part_state,
                           part_ready, part_slots, part_give_back, NULL}},
    [QUEUE_BEAT] = {"beat",
                    DRAINS,
                    move_beat,
                    {part_keys, part_time, part_watch, part_cancel, part_beat, NULL}},
    [QUEUE_RECONCILE] = {"reconcile",
                         DRAINS,
                         move_reconcile,
                         {part_keys, part_time, part_watch, part_cancel, part_state, part_ready,
                          part_slots, part_give_back, NULL}},
    [QUEUE_REAP] = {"reap",
                    DRAINS,
                    move_reap,
                    {part_keys, part_time, part_watch, part_cancel, part_state, part_id,
                     part_ready, part_due, part_promote, part_slots, part_limits, part_tend,
                     part_give_back, part_beat, part_schedules, NULL}},
    [QUEUE_WAKE] = {"wake", DRAINS, move_wake, {part_keys, part_ready, NULL}},
    [QUEUE_PAUSE] = {"pause", DRAINS, move_pause, {part_keys, part_ready, NULL}},
    [QUEUE_LIMITS] = {"limits",
                      DRAINS,
                      move_limits,
                      {part_keys, part_time, part_ready, part_slots, NULL}},
    [QUEUE_EXPLAIN] = {"explain",
                       LOOKS,
                       move_explain,
                       {part_keys, part_time, part_state, part_id, part_ready, part_slots,
                        NULL}},
    [QUEUE_LIST] = {"list",
                    LOOKS,
                    move_list,
                    {part_keys, part_state, part_id, part_ready, part_slots, NULL}},
    [QUEUE_COUNTS] = {"counts",
                      LOOKS,
                      move_counts,
                      {part_keys, part_time, part_state, part_id, part_ready, part_slots,
                       part_caps, NULL}},
    [QUEUE_BATCH_OPEN] = {"batch_open", PRODUCES, move_batch_open, {NULL}},
    [QUEUE_BATCH_END] = {"batch_end", DRAINS, move_batch_end, {NULL}},
    [QUEUE_BATCH_CLOSE] = {"batch_close", DRAINS, move_batch_close, {NULL}},
    [QUEUE_BATCH_LOOK] = {"batch_look", LOOKS, move_batch_look, {NULL}},
    [QUEUE_BATCH_DROP] = {"batch_drop", DRAINS, move_batch_drop, {NULL}},
    [QUEUE_WORKERS] = {"workers", LOOKS, move_workers, {part_keys, part_time, NULL}},
    [QUEUE_SCHEDULE_DUE] = {"schedule_due",
                            DRAINS,
                            move_schedule_due,
                            {part_keys, part_time, part_schedules, NULL}},
    [QUEUE_SCHEDULE_FIRE] = {"schedule_fire",
                             PRODUCES,
                             move_schedule_fire,
                             {part_keys, part_time, part_ready, part_schedules, NULL}},
    [QUEUE_SCHEDULE_PUT] = {"schedule_put",
                            PRODUCES,
                            move_schedule_put,
                            {part_keys, part_schedules, NULL}},
    [QUEUE_SCHEDULE_GET] = {"schedule_get",
                            LOOKS,
                            move_schedule_get,
                            {part_keys, part_time, part_schedules, NULL}},
    [QUEUE_SCHEDULE_REMOVE] = {"schedule_remove",
                               DRAINS,
                               move_schedule_remove,
                               {part_keys, part_schedules, NULL}},
    [QUEUE_SCHEDULE_LIST] = {"schedule_list",
                             LOOKS,
                             move_schedule_list,
                             {part_keys, part_time, part_schedules, NULL}},
};

static void add_text(struct buf *out, const unsigned char *text)
{
    buf_add_str(out, (const char *)text);
}

static void put_together(const struct recipe *recipe, struct redis_script *ret)
{
    struct buf source = {0};
    char *text;

    buf_add_str(&source, recipe->flags);
    for (const unsigned char *const *p = recipe->parts; *p != NULL; p++)
        add_text(&source, *p);
    add_text(&source, recipe->move);
    must(!buf_failed(&source)); /* at the start, a few kilobytes */
    ret->name = recipe->name;
    text = buf_detach(&source, &ret->len);
    ret->source = text;
    redis_script_init(ret);
}

const struct redis_script *queue_script(enum queue_script which)
{
    static struct redis_script scripts[QUEUE_SCRIPTS];

    if (scripts[which].source == NULL)
        put_together(&recipes[which], &scripts[which]);
    return &scripts[which];
}
