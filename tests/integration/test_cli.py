"""The command line: what it prints, what it says when something is wrong, its exit codes."""

import json
import re
import subprocess

import pytest

COMMANDS = ["enqueue", "jobs", "job", "watch", "cancel", "batch", "retry", "queues", "caps", "workers", "pause", "resume", "schedules", "schedule", "limits",
            "explain", "sweep", "migrate", "version"]
NOBODY = "01a20ad1-f5b5-7267-a62b-e2cfe5a55565"


def cli(stack, *args, **config):
    return stack.cli(*args, check=False, **config)


def answer(stack, *args):
    done = cli(stack, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_enqueued_job_runs_and_is_told(stack):
    done = cli(stack, "enqueue", "noop", '{"payload": "x"}', "--priority", "high", "--max-attempts", "7")
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.strip()
    row = stack.client.ended(job_id)
    assert (row["state"], row["priority"], row["max_attempts"], row["args"]) == ("succeeded", "high", 7, {"payload": "x"})
    assert answer(stack, "job", job_id)["state"] == "succeeded"


def test_json_of_a_job_is_what_the_api_says(stack):
    job_id = stack.client.noop(payload=[1, {"a": None}])
    api = stack.client.ended(job_id)
    assert answer(stack, "job", job_id) == api


def test_wait_follows_a_job_to_its_end_and_its_exit_code_tells_which(stack):
    assert cli(stack, "enqueue", "noop", "{}", "--wait").returncode == 0
    dead = cli(stack, "enqueue", "noop", '{"fail_final": true}', "--wait")
    assert dead.returncode == 1 and "dead" in dead.stdout


def test_uploaded_file_becomes_an_image_job(stack, picture):
    done = cli(stack, "enqueue", "image", "--upload", str(picture(640, 480)),
               '{"outputs": [{"name": "thumb", "ops": [{"resize": {"width": 64}}]}]}', "--wait", "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert [(o["name"], o["width"], o["height"]) for o in job["outputs"]] == [("thumb", 64, 48)]
    assert not [p for p in stack.client.files("blobs", "uploads") if p.name.endswith(".part")]


def test_many_are_enqueued_under_ids_of_their_own(stack):
    ids = cli(stack, "enqueue", "noop", "--count", "300").stdout.split()
    assert len(set(ids)) == 300
    stack.client.quiet()
    assert stack.client.rows("select count(*) from jobs where id = any(%s::uuid[])", ids) == [(300,)]


def test_jobs_are_listed_by_state_and_type_a_page_at_a_time(stack):
    for _ in range(5):
        stack.client.ended(stack.client.noop(fail_final=True))
    seen, cursor = [], None
    while True:
        page = answer(stack, "jobs", "--state", "dead", "--type", "noop", "--limit", "2", *(["--cursor", cursor] if cursor else []))
        seen += [j["id"] for j in page["jobs"]]
        assert all(j["state"] == "dead" for j in page["jobs"])
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) >= 5
    assert seen == sorted(seen, reverse=True), "newest first"


def test_tables_are_aligned(stack):
    for command in ("jobs", "queues", "workers"):
        lines = cli(stack, command).stdout.splitlines()
        assert len(lines) >= 2, command
        for heading in re.finditer(r"\S+( \S+)*", lines[0]):
            column = [line[max(heading.start() - 1, 0)] for line in lines[1:] if len(line) >= heading.start() and heading.start() > 0]
            right = [line[heading.end():heading.end() + 1] for line in lines[1:]]
            assert all(c == " " for c in column) or all(c in ("", " ") for c in right), (command, heading.group())


def test_queues_and_workers_say_what_runs(stack):
    names = {q["name"]: q for q in answer(stack, "queues")["queues"]}
    assert {"default", "image", "notify"} <= set(names) or "default" in names
    workers = answer(stack, "workers")["workers"]
    assert all(w["alive"] for w in workers) and {w["queue"] for w in workers} == {"default", "image", "notify"}


def test_paused_queue_keeps_its_jobs_until_it_is_resumed(stack):
    assert cli(stack, "pause", "default").returncode == 0
    job_id = cli(stack, "enqueue", "noop").stdout.strip()
    assert [j["id"] for j in answer(stack, "jobs", "--state", "queued")["jobs"]] == [job_id]
    assert "yes" in cli(stack, "queues").stdout
    assert cli(stack, "resume", "default").returncode == 0
    assert stack.client.ended(job_id)["state"] == "succeeded"


def test_migrate_says_that_there_is_nothing_to_do(stack):
    done = cli(stack, "migrate")
    assert done.returncode == 0 and "up to date" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_names_its_flags(stack, command):
    done = cli(stack, command, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: millrace " + command), done.stdout


@pytest.mark.parametrize("args, code, words", [
    (["jbos"], 2, ["jbos", "help lists them"]),
    (["jobs", "--lmit", "3"], 2, ["--lmit", "--limit"]),
    (["jobs", "--limit", "0"], 2, ["limit", "1", "200"]),
    (["jobs", "--state", "lost"], 2, ["state", "queued"]),
    (["job", "not-an-id"], 4, ["not-an-id", "UUID"]),
    (["job", NOBODY], 4, ["not found"]),
    (["pause", "nosuch"], 4, ["nosuch"]),
    (["enqueue", "imagine"], 1, ["imagine", "image, webhook, email, noop"]),
    (["enqueue", "noop", "{"], 2, ["ARGS is not JSON", "line 1"]),
    (["enqueue", "noop", '{"work_ms": -1}'], 1, ["/args/work_ms"]),
    (["enqueue", "image", '{"source": {"upload": "x"}, "outputs": []}'], 1, ["/args/"]),
    (["enqueue", "noop", "--max-attempts", "0"], 2, ["max-attempts"]),
    (["enqueue", "image", '{"outputs": [{"name": "a"}]}', "--upload", "/no/such/file"], 1, ["/no/such/file"]),
])
def test_what_is_wrong_is_named(stack, args, code, words):
    done = cli(stack, *args)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    for word in words:
        assert word in said, said


def test_unreachable_servers_are_named_with_what_to_do(stack):
    redis = cli(stack, "queues", REDIS_URL="unix:///nowhere/redis.sock")
    assert redis.returncode == 3 and "/nowhere/redis.sock" in redis.stderr and "MILLRACE_REDIS_URL" in redis.stderr
    pg = cli(stack, "jobs", PG_URL="host=/nowhere dbname=x")
    assert pg.returncode == 3 and "MILLRACE_PG_URL" in pg.stderr


def test_missing_setting_is_named(build):
    done = subprocess.run([str(build / "millrace"), "queues"], env={"PATH": "/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 78) and "MILLRACE_REDIS_URL" in done.stderr


def test_password_is_never_shown(stack):
    done = cli(stack, "queues", REDIS_URL="redis://user:hushhush@127.0.0.1:1/0")
    assert done.returncode == 3 and "hushhush" not in done.stdout + done.stderr


def test_control_characters_in_errors_do_not_reach_the_terminal(stack):
    done = cli(stack, "enqueue", "noop", '{"payload": 1, "\\u001b[31m": 2}')
    assert done.returncode == 1 and "\x1b" not in done.stdout + done.stderr


def test_version_is_the_one_of_the_file(stack):
    wanted = (stack.build.parent.parent / "VERSION").read_text().strip()
    assert wanted in cli(stack, "version").stdout
    assert answer(stack, "version")["version"] == wanted


def test_cancel_says_what_became_of_each(stack):
    running = stack.client.noop(work_ms=60000)
    later = stack.client.submit({"type": "noop", "args": {}, "delay_ms": 3600000})
    stack.client.state(running, "running")
    done = cli(stack, "cancel", later, running)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{later} +cancelled +done\n", done.stdout) and re.search(rf"{running} +running +requested\n", done.stdout)
    stack.client.quiet()
    assert stack.client.row(running)[0] == stack.client.row(later)[0] == "cancelled"
    assert answer(stack, "cancel", later) == {"jobs": [{"id": later, "state": "cancelled", "cancel": "done"}]}
    ended = stack.client.noop()
    stack.client.ended(ended), stack.client.quiet()
    late = cli(stack, "cancel", ended, "--json")
    assert late.returncode == 1 and json.loads(late.stdout)["jobs"][0]["cancel"] == "too_late"
    assert cli(stack, "cancel", NOBODY).returncode == 4
    assert cli(stack, "cancel", "x").returncode == 4


def test_watch_tells_a_job_until_its_end(stack):
    job = stack.client.noop(work_ms=4000)
    done = cli(stack, "watch", job)
    assert done.returncode == 0, done.stderr
    assert "running" in done.stderr and "succeeded" in done.stderr and job in done.stdout
    assert cli(stack, "watch", NOBODY).returncode == 4
    long = stack.client.noop(work_ms=60000)
    late = cli(stack, "watch", long, "--wait", "1")
    assert late.returncode == 1 and "has not ended" in late.stderr
    stack.cli("cancel", long)
    assert cli(stack, "watch", long).returncode == 1


def test_watch_hears_of_changes_and_does_not_poll(stack):
    """Its looks at Redis are few: a poll would make a dozen."""
    job = stack.client.noop(work_ms=3000)
    stack.client.state(job, "running")
    with stack.client.redis.monitor() as monitor:
        assert cli(stack, "watch", job).returncode == 0
        stack.client.redis.echo("that is all")
        looks = 0
        for command in monitor.listen():
            looks += command["command"].startswith("SRANDMEMBER mr:queues")
            if "that is all" in command["command"]:
                break
    assert 2 <= looks <= 6
