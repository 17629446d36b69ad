"""Putting jobs in one by one over HTTP, beside what a web server and Redis can do at most."""

import csv

from lib import httpload, settings as sizes
from lib.bed import AOF
from lib.children import CpuMeter
from lib.measures import cpu_note, part, present, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace
from lib.peers.nginx import Nginx
from lib.report import Aim
from stack import find_program

TITLE = "Enqueue: one job a request over HTTP"
NOTE = f"Requests a second; wrk, {sizes.CONNECTIONS} keep-alive connections, one server process, no worker. Limits are no queues: they say what is left to gain."
WARM_S = 1


def loaded(bed, url, pids, seconds):
    httpload.wrk(bed, url, sizes.body(), min(WARM_S, seconds), sizes.CONNECTIONS)
    cpu = CpuMeter(**pids)
    rate, n = httpload.wrk(bed, url, sizes.body(), seconds, sizes.CONNECTIONS)
    return {"rate": rate, "cpu": cpu_note(cpu.used(), n)}


def ours(bed, aof, seconds):
    with bed.fresh(aof):
        api = Millrace(bed).start_api()
        return loaded(bed, bed.stack.url, {"API": api.pid, "Redis": bed.redis_pid}, seconds)


def fastify(bed, aof, seconds):
    with bed.fresh(aof):
        port = httpload.free_port()
        http = BullMQ(bed).start_http(port)
        return loaded(bed, f"http://127.0.0.1:{port}", {"API": http.pid, "Redis": bed.redis_pid}, seconds)


def nginx(bed, aof, seconds):
    with bed.fresh(aof):
        url, server = Nginx(bed).start()
        return loaded(bed, url, {"nginx": server.pid}, seconds)


def lpush(bed, aof, pipeline, seconds):
    """redis-benchmark pushes as many bytes as a job has."""
    with bed.fresh(aof):
        n = int(max(2000, min(2_000_000, seconds * 40_000 * (8 if pipeline > 1 else 1))))
        text = bed.children.run("redis-benchmark", [
            find_program("redis-benchmark", "valkey-benchmark"), "-s", str(bed.stack.redis.socket), "-t", "lpush", "-n", str(n), "-c",
            str(sizes.CONNECTIONS), "-P", str(pipeline), "-d", str(sizes.PAYLOAD_BYTES), "--csv"])
        row = next(r for r in csv.reader(text.splitlines()) if r and r[0].startswith("LPUSH"))
        return {"rate": float(row[1]), "cpu": ""}


def run(bed, settings, report):
    mine = {}
    for aof in AOF:
        report.section(f"{TITLE}; AOF {aof}", NOTE)
        s, me, bull, web = settings.seconds, Millrace(bed), BullMQ(bed), Nginx(bed)
        found = rounds(settings.rounds, present({
            "Millrace": (me, lambda: ours(bed, aof, s)),
            "Fastify + BullMQ": (bull, lambda: fastify(bed, aof, s)),
            "limit: nginx, bare return 202": (web, lambda: nginx(bed, aof, s)),
            "limit: redis-benchmark LPUSH": (me, lambda: lpush(bed, aof, 1, s)),
            "limit: redis-benchmark LPUSH, 64 in a pipeline": (me, lambda: lpush(bed, aof, 64, s)),
        }))
        for name, results in found.items():
            report.outcome(name, part(results, "rate"), "/s", note=results[-1]["cpu"] if isinstance(results, list) else "")
        mine[aof] = part(found["Millrace"], "rate")
        aims = {"limit: nginx, bare return 202": Aim(0.6), "Fastify + BullMQ": Aim(5)}
        for name in list(found)[1:]:
            report.ratio(f"Millrace : {name}", mine[aof], part(found[name], "rate"), aims.get(name))
    report.ratio("Millrace, AOF always : off", mine["always"], mine["off"], Aim(0.5))
