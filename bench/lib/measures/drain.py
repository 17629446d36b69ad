"""How fast a queue that is full already is drained: no-op jobs, workers only."""

import os

from lib.bed import AOF
from lib.children import CpuMeter
from lib.measures import Drain, cpu_note, part, present, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.celery import Celery
from lib.peers.millrace import Millrace
from lib.peers.sidekiq import Sidekiq
from lib.report import Aim

SLOTS = 2048  # more jobs in flight than shipped; no-op jobs bear it
TITLE = "Drain: no-op jobs that wait already"
NOTE = "Jobs a second, from when a fifth is done to the last. Millrace writes a row a job; the others only where it says so."


def drained(bed, peer, aof, n):
    """One run: fill, start the workers, wait for the end."""
    with bed.fresh(aof):
        if isinstance(peer, Millrace):
            peer.meet()
        peer.fill(peer.jobs(n))
        if bed.stack.api:
            bed.stack.api.stop()
            bed.stack.api = None
        meter = []

        def warm():
            meter.append(CpuMeter(workers=bed.worker_pids(), Redis=bed.redis_pid, PostgreSQL=bed.pg_pid))

        with Drain(peer.left, warm) as drain:
            peer.start_workers()
            rate, counted = drain.rate()
        return {"rate": rate, "cpu": cpu_note(meter[0].used(), counted) if meter else ""}


def contenders(bed):
    many = dict.fromkeys((1, os.cpu_count()))
    bulls = [BullMQ(bed, rows=rows, processes=n) for rows in (True, False) for n in many]
    return [Millrace(bed), Millrace(bed, slots=SLOTS), *bulls, Sidekiq(bed), Celery(bed, pool="prefork"), Celery(bed, pool="solo")]


def label(peer):
    if "pool" in peer.options:
        return f"{peer.name}, {peer.options['pool']}"
    n = peer.options.get("processes")
    return f"{peer.name}, {n} process{'es' if n > 1 else ''}" if n else peer.name


def run(bed, settings, report):
    medians = {}
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        peers = {label(p): p for p in contenders(bed)}
        found = rounds(settings.rounds, present({name: (p, lambda p=p: drained(bed, p, aof, settings.drain)) for name, p in peers.items()}))
        for name, results in found.items():
            note = results[-1]["cpu"] if isinstance(results, list) else ""
            report.outcome(name, part(results, "rate"), "/s", note=note)
        ours = part(found["Millrace"], "rate")
        for name in list(peers)[1:]:
            theirs = part(found[name], "rate")
            if isinstance(peers[name], Millrace):
                report.ratio(f"{name} : as shipped", theirs, ours)
            else:
                report.ratio(f"Millrace : {name}", ours, theirs)
        medians[aof] = ours
    report.ratio("Millrace, AOF always : off", medians["always"], medians["off"], Aim(0.5))
