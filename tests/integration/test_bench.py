"""The benchmark's arithmetic on numbers that are known, and one tiny run of it. No figure is judged: only that it is there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from lib import httpload, measures, settings, stats  # noqa: E402
from lib.report import Absent, Aim, Report, number  # noqa: E402
from stack import StackError  # noqa: E402


# --- statistics

@pytest.mark.parametrize("p, want", [(1, 1), (50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100)])
def test_a_percentile_is_the_value_of_that_rank(p, want):
    assert stats.percentile(list(range(100, 0, -1)), p) == want


def test_percentiles_of_few_values_are_among_them():
    assert stats.percentile([7], 99.9) == 7
    assert stats.percentile([1, 2], 50) == 1
    assert stats.percentile([1, 2], 51) == 2
    for bad in (0, 101):
        with pytest.raises(ValueError):
            stats.percentile([1], bad)
    with pytest.raises(ValueError):
        stats.percentile([], 50)


def test_medians():
    assert stats.median([3, 1, 2]) == 2
    assert stats.median([4, 1, 2, 3]) == 2.5
    assert stats.spread([5, 1, 3]) == (3, 1, 5, 3)
    with pytest.raises(ValueError):
        stats.median([])


def test_ratios_are_taken_round_by_round():
    assert stats.ratios([10, 30, 90], [5, 10, 10]) == [2, 3, 9]
    with pytest.raises(ValueError):
        stats.ratios([1, 2], [1])
    with pytest.raises(ValueError):
        stats.ratios([1], [0])


@pytest.mark.parametrize("value, want", [(0, "0"), (0.534, "0.53"), (12.34, "12.3"), (123456.7, "123,457")])
def test_numbers_show_three_figures(value, want):
    assert number(value) == want


# --- table

def made_report():
    report = Report(say=lambda text: None)
    report.section("First", "how it is done")
    report.figure("ours", [100, 300, 200], "/s")
    report.ratio("ours : theirs", [100, 300, 200], [50, 100, 10], Aim(2.5))
    report.ratio("ours : other", [100, 300, 200], [100, 100, 100], Aim(3))
    report.ratio("ours : gone", [100], Absent("not\n installed"), Aim(2))
    report.figure("latency", [4.0], " RTT", Aim(5, at_most=True, unit="RTT"))
    return report


def test_the_table_tells_medians_ranges_aims_and_who_was_absent():
    text = made_report().markdown("A title", ["a machine"])
    assert text.startswith("# A title\n\na machine\n")
    assert "Aims: 2 met, 1 missed, 1 not measured." in text
    assert "| ours | 200/s (100 .. 300) |  |  |  |" in text
    assert "| ours : theirs | 3.00 × (2.00 .. 20.0) | >= 2.5 × | met |  |" in text
    assert "| ours : other | 2.00 × (1.00 .. 3.00) | >= 3 × | missed |  |" in text
    assert "| ours : gone | n/a (not installed) | >= 2 × | n/a |  |" in text
    assert "| latency | 4.00 RTT | <= 5 RTT | met |  |" in text
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    assert columns == {6}


def test_rounds_take_turns_and_survive_who_fails():
    order = []

    def good(name):
        order.append(name)
        return len(order)

    def bad():
        order.append("bad")
        raise StackError("does not start")

    found = measures.rounds(2, {"a": lambda: good("a"), "bad": bad, "b": lambda: good("b")}, say=lambda text: None)
    assert order == ["a", "bad", "b", "a", "b"]
    assert found["a"] == [1, 4] and found["b"] == [3, 5]
    assert isinstance(found["bad"], Absent) and found["bad"].reason == "does not start"


def test_a_drain_counts_from_its_warm_part():
    left = iter([1000, 1000, 900, 700, 300, 0])
    with measures.Drain(lambda: next(left)) as drain:
        rate, counted = drain.rate(10)
    assert counted == 700 and rate > 0


def test_a_queue_that_is_gone_in_one_look_counts_whole():
    left = iter([1000, 1000, 0])
    with measures.Drain(lambda: next(left)) as drain:
        assert drain.rate(10)[1] == 1000


def test_a_drain_that_fails_says_why():
    def left():
        raise StackError("no Redis")

    drain = measures.Drain(lambda: 5)
    drain.left = left
    with drain, pytest.raises(StackError, match="no Redis"):
        drain.rate(10)


def test_the_payload_has_its_size():
    assert len(settings.payload()) == settings.PAYLOAD_BYTES
    assert b'"clock":true' in settings.body(clock=True)


# --- load over HTTP

def test_exact_numbers_of_jobs_are_enqueued(stacks):
    stack = stacks.api_only()
    httpload.pipelined(stack.url, settings.body(), 1777)
    assert stack.client.redis.llen("mr:{default}:ready:normal") == 1777
    with pytest.raises(StackError, match="refused"):
        httpload.pipelined(stack.url, b"{}", 3)


def test_the_open_loop_sends_each_job_at_its_time(stacks):
    stack = stacks.api_only()
    due_of = httpload.OpenLoop(stack.url).run(200, 0.2, settings.body(clock=True))
    due = sorted(due_of.values())
    assert len(due) == 40 == stack.client.redis.llen("mr:{default}:ready:normal")
    assert {b - a for a, b in zip(due, due[1:])} == {5000}


# --- the whole

def bench(build, out, *args):
    return subprocess.Popen([str(ROOT / "bench/run"), "--build", str(build), "--tiny", "--out", str(out), *args],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "TMPDIR": str(out.parent)})


def leftovers(directory):
    """Processes that still name it, and what is left in it."""
    found = [p.name for p in directory.iterdir() if p.name.startswith("millrace-bench-")]
    for p in Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                line = (p / "cmdline").read_bytes()
            except OSError:
                continue
            if str(directory / "millrace-bench-").encode() in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture
def place(tmp_path):
    for p in (tmp_path, *list(tmp_path.parents)[:2]):
        p.chmod(0o711)  # PostgreSQL runs as a user of its own when the tests run as root
    return tmp_path


def test_a_tiny_run_writes_a_sound_results_file(build, place):
    out = place / "results.md"
    run = bench(build, out, "--only", "drain")
    text, _ = run.communicate(timeout=300)
    assert run.returncode == 0, text
    result = out.read_text()
    assert re.search(r"^# \d{4}-\d\d-\d\d: ", result) and "Command: `make bench TINY=1 ONLY=drain`" in result
    for aof in ("always", "off"):
        assert f"AOF {aof}\n" in result
    assert len(re.findall(r"^\| Millrace \| [\d,.]+/s \|", result, re.M)) == 2, result
    assert re.search(r"^\| Millrace, AOF always : off \| [\d.]+ × \| >= 0.5 × \| (met|missed) \|", result, re.M), result
    for peer in ("BullMQ, 1 process", "Sidekiq", "Celery, solo"):  # measured where it is installed, and else said to be absent
        assert len(re.findall(rf"^\| {peer} \| (?:[\d,.]+/s|n/a \(.+\)) \|", result, re.M)) == 2, result
    assert leftovers(place) == []


def test_an_interrupt_leaves_nothing_behind(build, place):
    out = place / "results.md"
    run = bench(build, out, "--only", "drain")
    for line in run.stdout:
        if line.startswith("## "):
            break
    run.send_signal(signal.SIGINT)
    text, _ = run.communicate(timeout=120)
    assert run.returncode == 130, text
    assert not out.exists()
    assert leftovers(place) == []


def test_an_unknown_measure_is_refused(build, place):
    run = bench(build, place / "results.md", "--only", "nonsense")
    text, _ = run.communicate(timeout=60)
    assert run.returncode == 2 and "nonsense" in text
