/* Any bytes as a job's envelope. What decodes is encoded again, decodes again, and is the same job;
 * then stands an envelope of our own, which is as short as can be: encoding it once more changes no
 * byte. What is refused says why. */
#include "queue/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_inside(struct slice part, struct slice whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void check_same(const struct job *a, const struct job *b)
{
    must(uuid_eq(&a->id, &b->id));
    must(strcmp(a->type, b->type) == 0 && job_name_is_valid(slice_str(a->type)));
    must(a->max_attempts == b->max_attempts && a->max_attempts <= JOB_ATTEMPTS_MAX);
    must(a->timeout_ms == b->timeout_ms && a->timeout_ms <= JOB_TIMEOUT_MAX);
    must(a->has_parent == b->has_parent && uuid_eq(&a->parent, &b->parent));
    must(slice_eq(a->args, b->args));
    must(slice_eq(a->then, b->then));
}

static void check_round_trip(const struct job *job)
{
    struct buf once = {.len = 0};
    struct buf twice = {.len = 0};
    struct job again;

    job_encode(job, &once);
    if (buf_failed(&once))
        return;
    must(job_decode(buf_slice(&once), &again, NULL) == ERR_OK);
    check_same(job, &again);
    must(memcmp(once.data + JOB_ID_OFFSET, job->id.bytes, UUID_LEN) == 0);
    job_encode(&again, &twice);
    must(slice_eq(buf_slice(&once), buf_slice(&twice)));
    buf_done(&once);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice item = slice_of(data, len);
    struct fault why = {.text = ""};
    struct job job;

    if (job_decode(item, &job, &why) != ERR_OK) {
        must(why.text[0] != '\0');
        return 0;
    }
    must(is_inside(job.args, item));
    must(job.then.len == 0 || is_inside(job.then, item));
    check_round_trip(&job);
    return 0;
}
