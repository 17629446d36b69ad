"""Putting many jobs in at once: POST /v1/jobs/batch against the bulk methods of the peers' own clients."""

import json

from lib import httpload, settings as sizes
from lib.bed import AOF
from lib.measures import present, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.celery import Celery
from lib.peers.millrace import Millrace
from lib.peers.sidekiq import Sidekiq
from stack import StackError

TITLE = f"Enqueue in bulk: {sizes.BATCH} jobs a call"
NOTE = "Jobs a second. Millrace over HTTP; the peers by their own clients, one process, straight to Redis. Celery has no bulk call."
PATH = "/v1/jobs/batch"


def batch_body():
    return b'{"jobs":[' + b",".join([sizes.body()] * sizes.BATCH) + b"]}"


def check(url):
    status, text = httpload.post(url, batch_body(), PATH)
    if status in (404, 405):
        raise StackError("this version has no POST /v1/jobs/batch")
    if status not in (200, 202):
        raise StackError(f"POST {PATH}: {status} {text[:80].decode(errors='replace')}")
    json.loads(text)


def ours(bed, aof, settings):
    with bed.fresh(aof):
        Millrace(bed).start_api()
        check(bed.stack.url)
        rate, _ = httpload.wrk(bed, bed.stack.url, batch_body(), settings.seconds, settings.bulk_calls, PATH)
        return rate * sizes.BATCH


def filled(bed, peer, aof, n):
    with bed.fresh(aof):
        n = peer.jobs(n)
        return n / peer.fill(n)


def run(bed, settings, report):
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        peers = [BullMQ(bed), Sidekiq(bed), Celery(bed)]
        contenders = {"Millrace": (Millrace(bed), lambda: ours(bed, aof, settings))}
        contenders.update({p.name: (p, lambda p=p: filled(bed, p, aof, settings.bulk)) for p in peers})
        found = rounds(settings.rounds, present(contenders))
        for name, results in found.items():
            report.outcome(name, results, "/s")
        for p in peers:
            report.ratio(f"Millrace : {p.name}", found["Millrace"], found[p.name])
