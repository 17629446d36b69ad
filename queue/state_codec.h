/* state_codec: the value of one live job in the state hash.
 *
 * Valid msgpack, so that any program can read it, and with everything up to the type at a fixed
 * offset, so that the Lua scripts splice it instead of unpacking it (queue/lua/part_state.lua):
 *
 *     offset  bytes              holds
 *      0      97                 array of 7
 *      1      01..04, 07         state: queued, scheduled, running, retrying, cancelled
 *      2      cf + 8 bytes       since, Unix ms: when it entered this state
 *     11      ce + 4 bytes       attempt: how often it was claimed
 *     16      cd + 2 bytes       excused: how many of these say nothing against the job
 *     19      00..03             priority: critical, high, normal, low
 *     20      d9 + length + str  type, at most 64 bytes; empty when it is not known
 *     ..      detail             queued: nil
 *                                scheduled, retrying: [due Unix ms (cf), last error (d9)]
 *                                running: [consumer (d9), progress 0..100, note (d9)]
 *                                cancelled: nil while it waits to be recorded, as running while
 *                                somebody does that */
#ifndef QUEUE_STATE_CODEC_H
#define QUEUE_STATE_CODEC_H

#include "queue/job.h"

#define STATE_TEXT_MAX 200 /* bytes of an error or a note; more is cut */

struct state_value {
    enum job_state state; /* queued, scheduled, running, retrying, cancelled */
    uint64_t since_ms;
    uint32_t attempt;
    uint16_t excused;
    enum job_priority priority;
    struct slice type;
    uint64_t due_ms;       /* scheduled, retrying */
    struct slice consumer; /* running, cancelled; empty: nobody */
    unsigned progress;     /* running */
    struct slice text;     /* retrying: the last error; running: the note */
};

void state_encode(const struct state_value *v, struct buf *out);
/* What a producer knows: all from the attempt on; the script puts state and since before it. */
void state_encode_tail(const struct state_value *v, struct buf *out);
/* ERR_MALFORMED unless it is exactly of the layout above. The slices of *ret point into bytes. */
MUST_USE enum err state_decode(struct slice bytes, struct state_value *ret);
/* How many bytes of text fit into max without leaving half a UTF-8 character. */
size_t state_cut(struct slice text, size_t max);
/* A str with one byte of length, cut at max bytes (at most 255). */
void state_add_str(struct slice text, size_t max, struct buf *out);

/* Big endian, as msgpack has it. */
void state_put_u32(uint32_t v, char dst[4]);

#endif
