/* Commands against a Redis of their own: jobs put on queues and seen there, pauses, time-outs. */
#include "tests/unit/test_cli_help.h"

#include <hiredis/hiredis.h>

#include "tests/unit/redis_server.h"
#include "tests/unit/servers.h"

static struct redis_server *server;

static int begin_group(void **state)
{
    (void)forget_environment(state);
    server = redis_server_new(false);
    return setenv("MILLRACE_REDIS_URL", redis_server_url(server), 1);
}

static int end_group(void **state)
{
    redis_server_free(&server);
    return forget_environment(state);
}

/* --- enqueue and look ------------------------------------------------------------------------ */

static void an_enqueued_job_is_found_as_it_was_asked_for(void **state)
{
    json_t *sent = json_of(CLI("enqueue", "noop", "{\"payload\":\"h\xc3\xa9\"}", "--queue=one",
                               "--priority=high", "--max-attempts=7", "--json"));
    json_t *job = json_of(CLI("job", text_of(sent, "id"), "--json"));
    json_t *page;

    (void)state;
    assert_string_equal(text_of(sent, "state"), "queued");
    assert_string_equal(text_of(job, "id"), text_of(sent, "id"));
    assert_string_equal(text_of(job, "state"), "queued");
    assert_string_equal(text_of(job, "queue"), "one");
    assert_string_equal(text_of(job, "priority"), "high");
    assert_said(CLI("job", text_of(sent, "id")), CLI_DONE, "state         queued\n", "");
    json_decref(job);
    page = json_of(CLI("jobs", "--state=queued", "--queue=one", "--json"));
    job = json_array_get(json_object_get(page, "jobs"), 0);
    assert_string_equal(text_of(json_object_get(job, "args"), "payload"), "h\xc3\xa9");
    assert_int_equal(json_integer_value(json_object_get(job, "max_attempts")), 7);
    json_decref(page);
    json_decref(sent);
}

static void a_delayed_job_is_scheduled(void **state)
{
    json_t *sent =
        json_of(CLI("enqueue", "noop", "--delay-ms=3600000", "--queue=late", "--json"));

    (void)state;
    assert_string_equal(text_of(sent, "state"), "scheduled");
    assert_said(CLI("jobs", "--state=scheduled"), CLI_DONE, text_of(sent, "id"), "");
    assert_said(CLI("jobs", "--state=queued", "--queue=late"), CLI_DONE, "ID", "");
    json_decref(sent);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void a_count_makes_so_many_jobs_with_ids_of_their_own(void **state)
{
    struct said s = CLI("enqueue", "noop", "--count=5000", "--queue=many");
    json_t *jobs, *queues, *queue;
    size_t i;

    (void)state;
    assert_int_equal(s.code, CLI_DONE);
    assert_int_equal(count_lines(s.out), 5000);
    said_done(&s);
    jobs = json_of(CLI("enqueue", "noop", "--count=3", "--queue=many", "--json"));
    assert_int_equal(json_array_size(json_object_get(jobs, "jobs")), 3);
    json_decref(jobs);
    queues = json_of(CLI("queues", "--json"));
    json_array_foreach(json_object_get(queues, "queues"), i, queue)
    {
        if (strcmp(text_of(queue, "name"), "many") == 0)
            assert_int_equal(json_integer_value(json_object_get(queue, "waiting")), 5003);
    }
    json_decref(queues);
    assert_said(CLI("queues"), CLI_DONE, "many      5003  ", "");
}

/* Pages of 2 over three queues of 3, 1 and 3 jobs. */
static void pages_of_live_jobs_join_without_a_gap(void **state)
{
    static const size_t sizes[] = {2, 2, 2, 1};
    char cursor[96] = "";
    json_t *page;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        page = i == 0 ? json_of(CLI("jobs", "--state=queued", "--type=webhook", "--limit=2",
                                    "--json"))
                      : json_of(CLI("jobs", "--state=queued", "--type=webhook", "--limit=2",
                                    "--json", "--cursor", cursor));
        assert_int_equal(json_array_size(json_object_get(page, "jobs")), sizes[i]);
        if (i + 1 < COUNT_OF(sizes))
            (void)snprintf(cursor, sizeof cursor, "%s", text_of(page, "next_cursor"));
        else
            assert_true(json_is_null(json_object_get(page, "next_cursor")));
        json_decref(page);
    }
}

static void what_is_unknown_is_told_with_4(void **state)
{
    (void)state;
    assert_said(CLI("pause", "nowhere"), CLI_NOT_FOUND, "", "no queue named nowhere");
    assert_said(CLI("resume", "No Name"), CLI_NOT_FOUND, "", "no queue named No Name");
    assert_said(CLI("jobs", "--state=queued", "--cursor=x"), CLI_USAGE, "", "--cursor");
    assert_said(CLI("jobs", "--state=queued", "--cursor=x:1y"), CLI_USAGE, "", "--cursor");
    assert_said(CLI("jobs", "--state=queued", "--cursor=zzz:5"), CLI_DONE, "ID", "");
}

static void a_queue_is_paused_and_resumed(void **state)
{
    json_t *told;

    (void)state;
    assert_said(CLI("enqueue", "noop", "--queue=p"), CLI_DONE, "-", "");
    told = json_of(CLI("pause", "p", "--json"));
    assert_true(json_is_true(json_object_get(told, "paused")));
    json_decref(told);
    assert_said(CLI("queues"), CLI_DONE, "yes", "");
    assert_said(CLI("resume", "p"), CLI_DONE, "queue p is not paused\n", "");
    assert_said(CLI("workers"), CLI_DONE, "WORKER", "");
}

/* --- uploads --------------------------------------------------------------------------------- */

#define THUMB "{\"outputs\":[{\"name\":\"a\",\"ops\":[{\"resize\":{\"width\":9}}]}]}"

static void an_upload_is_named_as_the_source(void **state)
{
    char dir[SERVERS_DIR_SIZE], file[SERVERS_DIR_SIZE + 8], upload[SERVERS_DIR_SIZE + 64];
    const json_t *job;
    json_t *page;
    FILE *f;

    (void)state;
    servers_dir_make(dir);
    servers_format(file, sizeof file, "%s/f", dir);
    f = fopen(file, "we");
    assert_non_null(f);
    assert_true(fputs("picture", f) >= 0 && fclose(f) == 0);
    assert_said(CLI("enqueue", "image", THUMB, "--upload", file, "--blob-dir", dir), CLI_DONE,
                "-", "");
    page = json_of(CLI("jobs", "--state=queued", "--queue=image", "--json"));
    job = json_array_get(json_object_get(page, "jobs"), 0);
    servers_format(upload, sizeof upload, "%s/uploads/%s", dir,
                   text_of(json_object_get(json_object_get(job, "args"), "source"), "upload"));
    f = fopen(upload, "re");
    assert_non_null(f);
    (void)fclose(f);
    json_decref(page);
    assert_said(CLI("enqueue", "image", THUMB, "--upload", "/nonexistent", "--blob-dir", dir),
                CLI_FAILED, "", "--upload: open /nonexistent");
    servers_dir_remove(dir);
}

/* --- faults ---------------------------------------------------------------------------------- */

static void a_redis_that_does_not_answer_is_given_up_after_the_timeout(void **state)
{
    (void)state;
    redis_server_pause(server, true);
    assert_said(CLI("queues", "--timeout=50ms"), CLI_UNREACHABLE, "",
                "did not answer within 50 ms; --timeout gives it longer");
    assert_said(CLI("enqueue", "noop", "--timeout=50ms"), CLI_UNREACHABLE, "", "50 ms");
    redis_server_pause(server, false);
}

static void set_memory(const char *limit)
{
    redisContext *hand = redisConnectUnix(redis_server_path(server));
    redisReply *reply;

    assert_true(hand != NULL && hand->err == 0);
    reply = redisCommand(hand, "CONFIG SET maxmemory %s", limit);
    assert_true(reply != NULL && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    redisFree(hand);
}

static void a_redis_without_room_takes_no_job_and_says_why(void **state)
{
    (void)state;
    set_memory("1");
    assert_said(CLI("enqueue", "noop"), CLI_UNREACHABLE, "", "Redis: OOM");
    assert_said(CLI("enqueue", "noop", "--count=2", "--json"), CLI_UNREACHABLE, "",
                "0 of 2 jobs were taken for certain\n");
    set_memory("0");
    assert_said(CLI("enqueue", "noop"), CLI_DONE, "-", "");
}

static void put_webhooks(void)
{
    static const struct {
        const char *queue, *count;
    } jobs[] = {
        {"--queue=wa", "--count=3"}, {"--queue=wb", "--count=1"}, {"--queue=wc", "--count=3"}};

    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        assert_said(CLI("enqueue", "webhook", "{\"url\":\"http://127.0.0.1:9/\"}",
                        jobs[i].queue, jobs[i].count),
                    CLI_DONE, "-", "");
}

static int begin_pages(void **state)
{
    (void)state;
    put_webhooks();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pages_of_live_jobs_join_without_a_gap, begin_pages),
        cmocka_unit_test(an_enqueued_job_is_found_as_it_was_asked_for),
        cmocka_unit_test(a_delayed_job_is_scheduled),
        cmocka_unit_test(a_count_makes_so_many_jobs_with_ids_of_their_own),
        cmocka_unit_test(what_is_unknown_is_told_with_4),
        cmocka_unit_test(a_queue_is_paused_and_resumed),
        cmocka_unit_test(an_upload_is_named_as_the_source),
        cmocka_unit_test(a_redis_that_does_not_answer_is_given_up_after_the_timeout),
        cmocka_unit_test(a_redis_without_room_takes_no_job_and_says_why),
    };

    return cmocka_run_group_tests(tests, begin_group, end_group);
}
