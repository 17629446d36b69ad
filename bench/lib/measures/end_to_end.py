"""From a producer to the end of the job, everything at once on one machine: API, queue, workers, record."""

import time

from lib import httpload, settings as sizes
from lib.bed import AOF
from lib.children import CpuMeter
from lib.measures import cpu_note, part, present, rounds, wait_empty
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace
from lib.report import Aim

TITLE = "End to end: a no-op job from its producer to its end"
NOTE = (f"Jobs a second, until the last has ended. HTTP: wrk, {sizes.CONNECTIONS} keep-alive connections, one job a request. "
        "Without HTTP: the peer's own client, 64 jobs in flight.")
WARM_S = 1


def over_http(bed, url, left, meter, seconds):
    httpload.wrk(bed, url, sizes.body(), min(WARM_S, seconds), sizes.CONNECTIONS)
    wait_empty(left)
    cpu = CpuMeter(**meter)
    began = time.monotonic()
    _, n = httpload.wrk(bed, url, sizes.body(), seconds, sizes.CONNECTIONS)
    took = wait_empty(left) - began
    return {"rate": n / took, "cpu": cpu_note(cpu.used(), n)}


def ours(bed, aof, seconds):
    peer = Millrace(bed)
    with bed.fresh(aof):
        api = peer.start_api()
        workers = peer.start_workers()
        return over_http(bed, bed.stack.url, peer.left, {
            "API": api.pid, "worker": [w.pid for w in workers], "Redis": bed.redis_pid, "PostgreSQL": bed.pg_pid}, seconds)


def fastify(bed, peer, aof, seconds):
    with bed.fresh(aof):
        port = httpload.free_port()
        http = peer.start_http(port)
        workers = peer.start_workers()
        return over_http(bed, f"http://127.0.0.1:{port}", peer.left, {
            "API": http.pid, "workers": [w.pid for w in workers], "Redis": bed.redis_pid, "PostgreSQL": bed.pg_pid}, seconds)


def own_client(bed, peer, aof, n):
    """The producer is a process of the peer's own; its time counts from its first job."""
    with bed.fresh(aof):
        workers = peer.start_workers()
        peer.add_one_by_one(max(200, n // 10))
        wait_empty(peer.left)
        cpu = CpuMeter(workers=[w.pid for w in workers], Redis=bed.redis_pid, PostgreSQL=bed.pg_pid)
        producing = peer.add_one_by_one(n)
        done = time.monotonic()
        took = producing + wait_empty(peer.left) - done
        return {"rate": n / took, "cpu": cpu_note(cpu.used(), n)}


def run(bed, settings, report):
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        rows, plain = BullMQ(bed, rows=True, processes=1), BullMQ(bed, processes=1)
        n = plain.jobs(settings.drain)
        found = rounds(settings.rounds, present({
            "Millrace": (Millrace(bed), lambda: ours(bed, aof, settings.seconds)),
            "Fastify + BullMQ, row in PostgreSQL": (rows, lambda: fastify(bed, rows, aof, settings.seconds)),
            "Fastify + BullMQ": (plain, lambda: fastify(bed, plain, aof, settings.seconds)),
            "BullMQ without HTTP, row in PostgreSQL": (rows, lambda: own_client(bed, rows, aof, n)),
            "BullMQ without HTTP": (plain, lambda: own_client(bed, plain, aof, n)),
        }))
        for name, results in found.items():
            report.outcome(name, part(results, "rate"), "/s", note=results[-1]["cpu"] if isinstance(results, list) else "")
        mine = part(found["Millrace"], "rate")
        aims = {"BullMQ without HTTP, row in PostgreSQL": Aim(8), "BullMQ without HTTP": Aim(3)}
        for name in list(found)[1:]:
            report.ratio(f"Millrace : {name}", mine, part(found[name], "rate"), aims.get(name))
