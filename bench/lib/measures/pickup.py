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
CUT = 0.1  # of the jobs, at the beginning: warm-up
QUANTILES = (50, 99, 99.9)


def summary(waits_us):
    kept = waits_us[int(len(waits_us) * CUT):]
    return [stats.percentile(kept, q) / 1000 for q in QUANTILES]


def ours(bed, aof, rate, seconds):
    peer = Millrace(bed)
    with bed.fresh(aof):
        peer.start_api()
        peer.start_workers()
        due_of = httpload.OpenLoop(bed.stack.url).run(rate, seconds, sizes.body(clock=True))
        wait_empty(peer.left)
        started = dict(bed.rows("select id::text, (result->>'started_us')::bigint from jobs"))
        return summary([started[i] - due for i, due in sorted(due_of.items(), key=lambda x: x[1])])


def theirs(bed, peer, aof, rate, seconds):
    with bed.fresh(aof):
        starts = bed.dir / f"starts-{uuid.uuid4().hex}"
        peer.start_workers(STARTS=starts)
        peer.produce(rate, seconds)
        wait_empty(peer.left)
        bed.clean()  # what is in flight ends before it stops
        pairs = sorted(tuple(int(x) for x in line.split()) for line in starts.read_text().splitlines())
        os.unlink(starts)
        return summary([started - due for due, started in pairs])


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
