"""One job at a time on an idle system: from its 202 to the start of its handler, in round trips to the same Redis."""

import socket
import time

from lib import httpload, settings as sizes, stats
from lib.bed import AOF
from lib.children import now_us
from lib.measures import part, rounds, wait_empty
from lib.peers.millrace import Millrace
from lib.report import Aim

TITLE = "Idle pickup: one job at a time"
NOTE = ("A round trip is a SET by an idle client, after the same pause as before each job: where AOF is on it holds an fsync, as each of the queue's "
        "moves does. A handler may start before the client in the same machine has read the 202; that counts as 0.")
GAP_S = 0.01  # between two jobs: the worker has gone idle again


def round_trips_us(bed, command, n):
    """Each after a pause, as the jobs are: a busy processor answers quicker than one that was asleep."""
    took = []
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(bed.stack.redis.socket))
        for _ in range(n):
            time.sleep(GAP_S)
            began = time.monotonic_ns()
            s.sendall(command)
            s.recv(64)
            took.append((time.monotonic_ns() - began) / 1000)
    return stats.median(took)


def jobs_one_by_one(bed, n):
    """[(asked, answered, job)], the times in µs."""
    one, sent = httpload.request("/v1/jobs", sizes.body(clock=True)), []
    with httpload.connect(bed.stack.url) as sock:
        for _ in range(n):
            time.sleep(GAP_S)
            asked = now_us()
            job, answered = httpload.one_job(sock, one)
            sent.append((asked, answered, job))
    return sent


def one_by_one(bed, aof, n):
    peer = Millrace(bed)
    with bed.fresh(aof):
        peer.start_api()
        peer.start_workers()
        kept = jobs_one_by_one(bed, n + n // 5)[n // 5:]
        wait_empty(peer.left)
        started = dict(bed.rows("select id::text, (result->>'started_us')::bigint from jobs"))
        rtt = round_trips_us(bed, b"SET bench:idle 1\r\n", n)
        after = [max(0, started[job] - answered) for _, answered, job in kept]
        whole = [started[job] - asked for asked, _, job in kept]
        return {"ping": round_trips_us(bed, b"PING\r\n", n), "rtt": rtt,
                "p50": stats.percentile(after, 50) / rtt, "p99": stats.percentile(after, 99) / rtt,
                "whole50": stats.percentile(whole, 50), "whole99": stats.percentile(whole, 99)}


def run(bed, settings, report):
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        found = rounds(settings.rounds, {"Millrace": lambda: one_by_one(bed, aof, settings.idle)})["Millrace"]
        report.outcome("Redis round trip, SET", part(found, "rtt"), " µs")
        report.outcome("Redis round trip, PING", part(found, "ping"), " µs")
        report.outcome("from the 202 to the handler, p50", part(found, "p50"), " round trips")
        report.outcome("from the 202 to the handler, p99", part(found, "p99"), " round trips", Aim(5, at_most=True, unit="RTT"))
        report.outcome("from the request to the handler, p50", part(found, "whole50"), " µs")
        report.outcome("from the request to the handler, p99", part(found, "whole99"), " µs")
