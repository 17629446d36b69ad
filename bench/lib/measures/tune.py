"""Which setting of a peer is its best here. Not part of a whole run: what it finds stands in lib/peers as each one's default."""

import os

from lib.measures import part, present, rounds
from lib.measures.drain import drained
from lib.peers.bullmq import BullMQ
from lib.peers.celery import Celery
from lib.peers.millrace import Millrace
from lib.peers.sidekiq import Sidekiq

TITLE = "Settings of the peers"
NOTE = "Drain, jobs a second; AOF always."


def candidates(bed):
    cores = os.cpu_count()
    for slots in (64, 256, 1024, 2048):
        yield f"Millrace: {slots} slots", Millrace(bed, slots=slots)
    for rows in (False, True):
        for processes in dict.fromkeys((1, cores)):
            for concurrency in (10, 50, 100, 300):
                yield (f"BullMQ{', row' if rows else ''}: {processes} × {concurrency}",
                       BullMQ(bed, rows=rows, processes=processes, concurrency=concurrency))
    for processes in dict.fromkeys((1, cores)):
        for threads in (5, 10, 25):
            yield f"Sidekiq: {processes} × {threads}", Sidekiq(bed, processes=processes, threads=threads)
    for pool in ("solo", "prefork"):
        yield f"Celery: {pool}", Celery(bed, pool=pool)


def run(bed, settings, report):
    report.section(TITLE, NOTE)
    found = rounds(settings.rounds, present({
        name: (p, lambda p=p: drained(bed, p, "always", settings.drain)) for name, p in candidates(bed)}))
    for name, results in found.items():
        report.outcome(name, part(results, "rate"), "/s")
