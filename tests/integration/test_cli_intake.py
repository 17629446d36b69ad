"""The way in from the command line: files of jobs, unique keys, caps."""

import json
import subprocess

from integration.test_cli import answer, cli


def feed(stack, text, *args):
    return subprocess.run([str(stack.build / "millrace"), "enqueue", "--file", "-", *args], input=text, text=True, env=stack.env(),
                          capture_output=True, timeout=60, check=False)


def test_a_file_of_jobs_is_enqueued_line_by_line(stack, tmp_path):
    path = tmp_path / "jobs.ndjson"
    path.write_text("".join(json.dumps({"type": "noop", "args": {"payload": n}}) + "\n" for n in range(5000)))
    done = cli(stack, "enqueue", "--file", str(path))
    assert done.returncode == 0, done.stderr
    ids = done.stdout.split()
    assert len(set(ids)) == 5000
    stack.client.quiet()
    assert stack.client.rows("select count(*) from jobs where id = any(%s::uuid[])", ids) == [(5000,)]


def test_a_bad_line_is_named_and_spoils_no_other(stack):
    good = '{"type":"noop","args":{}}'
    done = feed(stack, f'{good}\n{{"type":"nope","args":{{}}}}\n\n{{\n{good}')
    assert done.returncode == 1 and len(done.stdout.split()) == 2
    assert "line 2 is refused: /type" in done.stderr and "line 4 is refused: JSON" in done.stderr
    assert "2 jobs taken, 2 refused" in done.stderr
    lines = [json.loads(x) for x in feed(stack, f"{good}\n{{}}\n", "--json").stdout.splitlines()]
    assert sorted(lines, key=lambda x: x["line"])[0]["id"] and {x["line"] for x in lines} == {1, 2}


def test_a_file_or_a_type_and_not_both(stack):
    for args in (["enqueue"], ["enqueue", "noop", "--file", "-"], ["enqueue", "--file", "-", "--wait"]):
        assert cli(stack, *args).returncode == 2
    done = cli(stack, "enqueue", "--file", "/no/such/file")
    assert done.returncode == 1 and "/no/such/file" in done.stderr


def test_a_unique_key_is_held_kept_or_replaced(stack):
    args = ["enqueue", "noop", "--delay-ms", "3600000", "--queue", "cliu", "--unique", "k"]
    first = cli(stack, *args).stdout.strip()
    done = cli(stack, *args)
    assert done.returncode == 1 and first in done.stderr
    assert cli(stack, *args, "--unique-policy", "keep").stdout.strip() == first
    assert cli(stack, *args, "--unique-policy", "replace", "--priority", "low").stdout.strip() == first
    assert stack.client.job(first)["priority"] == "low"
    window = cli(stack, "enqueue", "noop", "--queue", "cliw", "--unique", "w", "--unique-window-ms", "600000", "--key", "tenant")
    assert window.returncode == 0 and stack.client.redis.pttl("mr:{cliw}:unique:w") > 500000


def test_a_command_with_a_key_enqueues_once(stack):
    args = ["enqueue", "noop", '{"payload": 1}', "--queue", "clio", "--delay-ms", "3600000", "--idempotency-key", "daily"]
    first = cli(stack, *args)
    assert first.returncode == 0, first.stderr
    again = cli(stack, *args)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert stack.client.redis.zcard("mr:{clio}:delayed") == 1
    other = cli(stack, *args, "--priority", "high")
    assert other.returncode == 1 and "another job" in other.stderr
    assert cli(stack, *args, "--count", "2").returncode == 2
    assert cli(stack, "enqueue", "noop", "--idempotency-key", "k" * 256).returncode == 2


def test_caps_are_set_shown_and_kept(stack):
    assert cli(stack, "caps", "clic").returncode == 2
    assert cli(stack, "caps", "No", "--jobs", "1").returncode == 2
    assert cli(stack, "caps", "clic", "--jobs", "2", "--age", "1h").returncode == 0
    queue = next(q for q in answer(stack, "queues")["queues"] if q["name"] == "clic")
    assert queue["caps"] == {"jobs": 2, "bytes": None, "age_ms": 3600000}
    done = cli(stack, "enqueue", "noop", "--queue", "clic", "--count", "3")
    assert done.returncode == 1 and len(done.stdout.split()) == 2 and "cap on jobs" in done.stderr
    assert cli(stack, "caps", "clic", "--no-caps").returncode == 0
    assert cli(stack, "enqueue", "noop", "--queue", "clic").returncode == 0
