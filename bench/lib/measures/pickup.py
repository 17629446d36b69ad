"""How long a job waits until its handler starts, while jobs arrive at a fixed rate.

An open loop: each job has its time, fixed beforehand, and its wait counts from that time, also where the producer or the queue fell behind.
So a stall is seen by all jobs that fell into it (a closed loop would see it once).
"""

import os
import uuid

from lib import httpload, settings as sizes, stats
from lib.bed import AOF
from lib.measures import present, rounds, wait_empty
from lib.peers.bullmq import BullMQ
from lib.peers.celery import Celery
from lib.peers.millrace import Millrace
from lib.peers.sidekiq import Sidekiq
from lib.report import Absent, number

TITLE = "Pickup: from when a job was due to the start of its handler"
NOTE = "Milliseconds, p50 / p99 / p99.9. Millrace over HTTP, the others by their own clients straight to Redis."
WARM = 200  # jobs, one after another, before the clock starts: they do not count
QUANTILES = (50, 99, 99.9)


def summary(waits_us):
    return [stats.percentile(waits_us, q) / 1000 for q in QUANTILES]


def warm_up(url):
    one = httpload.request("/v1/jobs", sizes.body(clock=True))
    with httpload.connect(url) as sock:
        for _ in range(WARM):
            httpload.one_job(sock, one)


def ours(bed, aof, rate, seconds):
    peer = Millrace(bed)
    with bed.fresh(aof):
        peer.start_api()
        peer.start_workers()
        warm_up(bed.stack.url)
        wait_empty(peer.left)
        due_of = httpload.OpenLoop(bed.stack.url).run(rate, seconds, sizes.body(clock=True))
        wait_empty(peer.left)
        started = dict(bed.rows("select id::text, (result->>'started_us')::bigint from jobs"))
        return summary([started[i] - due for i, due in due_of.items()])


def theirs(bed, peer, aof, rate, seconds):
    with bed.fresh(aof):
        starts = bed.dir / f"starts-{uuid.uuid4().hex}"
        peer.start_workers(STARTS=starts)
        peer.produce(rate, seconds, WARM)
        wait_empty(peer.left)
        bed.clean()  # what is in flight ends before it stops
        pairs = [tuple(int(x) for x in line.split()) for line in starts.read_text().splitlines()]
        os.unlink(starts)
        return summary([started - due for due, started in pairs if due > 0])


def tell(report, name, results):
    if isinstance(results, Absent):
        report.absent(name, results)
        return
    middle = [stats.median([r[i] for r in results]) for i in range(len(QUANTILES))]
    report.row(name, " / ".join(number(v) for v in middle))


def run(bed, settings, report):
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        for rate in settings.pickup_rates:
            peers = [BullMQ(bed, processes=1), Sidekiq(bed), Celery(bed)]
            contenders = {"Millrace": (Millrace(bed), lambda: ours(bed, aof, rate, settings.pickup_s))}
            contenders.update({p.name: (p, lambda p=p: theirs(bed, p, aof, rate, settings.pickup_s)) for p in peers})
            found = rounds(settings.rounds, present(contenders))
            for name, results in found.items():
                tell(report, f"{rate}/s: {name}", results)
            mine = found["Millrace"]
            for p in peers:
                for i, q in enumerate(QUANTILES[:2]):
                    report.ratio(f"{rate}/s: {p.name} : Millrace, p{q}", column(found[p.name], i), column(mine, i))


def column(results, i):
    return results if isinstance(results, Absent) else [r[i] for r in results]
