"""millrace schedules and millrace schedule: what they print, and their exit codes."""

import json

import pytest

from support.schedules import Schedules


@pytest.fixture
def schedules(stack):
    s = Schedules(stack)
    yield s
    for one in s.ask("GET")[1]["schedules"]:
        s.ask("DELETE", one["name"])


def cli(stack, *args, code=0, **config):
    done = stack.cli(*args, check=False, **config)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def test_put_is_what_the_api_tells(stack, schedules):
    done = cli(stack, "schedule", "nightly", "put", "noop", '{"payload": "ü"}', "--cron", "0 3 * * MON-FRI", "--timezone", "Europe/Berlin",
               "--missed", "all", "--overlap", "skip", "--priority", "high", "--max-attempts", "2", "--queue", "reports", "--json")
    told = json.loads(done.stdout)
    assert told == schedules.get("nightly")
    assert told["queue"] == "reports" and len(told["next"]) == 5
    assert told["job"] == {"type": "noop", "args": {"payload": "ü"}, "priority": "high", "queue": "reports", "max_attempts": 2}
    assert json.loads(cli(stack, "schedule", "nightly", "--json").stdout) == told
    page = cli(stack, "schedule", "nightly", "show").stdout
    assert "0 3 * * MON-FRI" in page and "Europe/Berlin" in page and page.count("T0") >= 5


def test_pause_resume_run_and_delete(stack, schedules):
    cli(stack, "schedule", "rare", "put", "noop", "--every-ms", "86400000", "--paused", "yes")
    assert "paused        yes" in cli(stack, "schedule", "rare").stdout
    assert "paused        no" in cli(stack, "schedule", "rare", "resume").stdout
    assert json.loads(cli(stack, "schedule", "rare", "pause", "--json").stdout)["next_at"] is None
    job_id = cli(stack, "schedule", "rare", "run").stdout.strip()
    assert stack.client.ended(job_id)["state"] == "succeeded"
    assert json.loads(cli(stack, "schedule", "rare", "--json").stdout)["last_job_id"] == job_id
    assert cli(stack, "schedule", "rare", "delete").stdout == "schedule rare is deleted\n"
    assert "no schedule named rare" in cli(stack, "schedule", "rare", code=4).stderr


def test_list_is_a_table_with_pages(stack, schedules):
    for i in range(5):
        cli(stack, "schedule", f"s{i}", "put", "noop", "--cron", "@daily", "--queue", f"q{i % 2}")
    done = cli(stack, "schedules", "--limit", "3")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SCHEDULE", "QUEUE", "TYPE", "WHEN", "ZONE", "NEXT", "LAST", "FIRED", "MISSED", "SKIPPED", "PAUSED"]
    assert [line.split()[0] for line in lines[1:]] == ["s0", "s1", "s2"] and "--cursor s2" in done.stderr
    column = lines[0].index("QUEUE")
    assert all(line[column:column + 2] in ("q0", "q1") for line in lines[1:])
    rest = json.loads(cli(stack, "schedules", "--cursor", "s2", "--json").stdout)
    assert [s["name"] for s in rest["schedules"]] == ["s3", "s4"] and rest["next_cursor"] is None
    assert [s["name"] for s in json.loads(cli(stack, "schedules", "--queue", "q1", "--json").stdout)["schedules"]] == ["s1", "s3"]


@pytest.mark.parametrize("words, code, text", [
    (["x", "put", "noop"], 1, "/cron is required"),
    (["x", "put", "noop", "--cron", "* * *"], 1, "five fields"),
    (["x", "put", "noop", "--cron", "@daily", "--every-ms", "1000"], 1, "one of them"),
    (["x", "put", "noop", "--cron", "@daily", "--timezone", "Nowhere"], 1, "no time zone"),
    (["x", "put", "nothing", "--cron", "@daily"], 1, "/job/type"),
    (["x", "put", "noop", '{"work_ms": "a"}', "--cron", "@daily"], 1, "/job/args/work_ms"),
    (["x", "put", "noop", "{", "--cron", "@daily"], 2, "not JSON"),
    (["x", "put"], 2, "TYPE is missing"),
    (["x", "put", "noop", "--every-ms", "999"], 2, "1000"),
    (["X", "put", "noop", "--cron", "@daily"], 2, "no schedule can be named"),
    (["x", "frobnicate"], 2, "unknown action"),
    (["x", "pause", "now"], 2, "too many words"),
    (["x", "pause"], 4, "no schedule named x"),
    (["x", "delete"], 4, "no schedule named x"),
    (["x", "run"], 4, "no schedule named x"),
    (["X"], 4, "no schedule can be named"),
    ([], 2, "too few words"),
])
def test_what_is_wrong_is_said_and_told_by_the_exit_code(stack, words, code, text):
    done = cli(stack, "schedule", *words, code=code)
    assert text in done.stderr and done.stdout == ""


def test_limits_and_names_hold_for_the_command_line_too(stack, schedules):
    cli(stack, "schedule", "a", "put", "noop", "--cron", "@daily", "--queue", "small")
    assert "as many schedules" in cli(stack, "schedule", "b", "put", "noop", "--cron", "@daily", "--queue", "small", code=1, SCHEDULES_MAX="1").stderr
    assert 'in the queue "small"' in cli(stack, "schedule", "a", "put", "noop", "--cron", "@daily", code=1).stderr


def test_without_redis_the_exit_code_is_3(stack):
    for words in (["schedules"], ["schedule", "x"], ["schedule", "x", "run"]):
        assert cli(stack, *words, "--redis-url", "unix:///nowhere/redis.sock", "--timeout", "200ms", code=3).stderr
