"""What things hold: a queued job in Redis, a keep-alive connection, each process."""

from lib import httpload, settings as sizes
from lib.children import descendants, memory_of
from lib.measures import part, present, rounds, wait_empty
from lib.peers.bullmq import BullMQ
from lib.peers.celery import Celery
from lib.peers.millrace import Millrace
from lib.peers.nginx import Nginx
from lib.peers.sidekiq import Sidekiq
from lib.report import Aim

TITLE = "Memory"
NOTE = f"A job carries {sizes.PAYLOAD_BYTES} bytes of payload; what it costs beside them is Redis' used_memory, by jobs queued. Processes: resident, shared libraries included."
MIB = 1 << 20


def a_job(bed, peer, n):
    with bed.fresh("off"):
        used = bed.redis.info("memory")["used_memory"]
        n = peer.jobs(n)
        peer.fill(n)
        return (bed.redis.info("memory")["used_memory"] - used) / n - sizes.PAYLOAD_BYTES


def connection_cost(url, pid, n):
    """Of the second half: the first grows tables."""
    first = httpload.idle_connections(url, n)
    try:
        before = memory_of(pid, tree=True)
        second = httpload.idle_connections(url, n)
        try:
            return (memory_of(pid, tree=True) - before) / n / 1024
        finally:
            for s in second:
                s.close()
    finally:
        for s in first:
            s.close()


def a_connection(bed, kind, n):
    with bed.fresh("off"):
        if kind == "Millrace":
            api = Millrace(bed).start_api()
            return connection_cost(bed.stack.url, api.pid, n)
        if kind == "nginx":
            url, server = Nginx(bed).start()
            return connection_cost(url, server.pid, n)
        port = httpload.free_port()
        http = BullMQ(bed).start_http(port)
        return connection_cost(f"http://127.0.0.1:{port}", http.pid, n)


def our_processes(bed):
    """Idle, then after some load."""
    peer = Millrace(bed)
    with bed.fresh("off"):
        api, worker = peer.start_api(), peer.start_workers()[0]
        idle = {"API": memory_of(api.pid), "worker": memory_of(worker.pid)}
        renderers = [memory_of(p) for p in descendants(worker.pid) if p != worker.pid]
        peer.fill(20_000)
        wait_empty(peer.left)
        return {"api": idle["API"] / MIB, "worker": idle["worker"] / MIB, "renderer": max(renderers, default=0) / MIB,
                "api_after": memory_of(api.pid) / MIB, "worker_after": memory_of(worker.pid) / MIB}


def their_workers(bed, peer):
    """All processes of one worker installation, one core's worth."""
    with bed.fresh("off"):
        ps = peer.start_workers()
        return sum(memory_of(p.pid, tree=True) for p in ps) / MIB


def run(bed, settings, report):
    report.section(TITLE, NOTE)
    one = {"processes": 1}
    peers = [BullMQ(bed), Sidekiq(bed), Celery(bed)]
    jobs = {"Millrace": (Millrace(bed), lambda: a_job(bed, Millrace(bed), settings.memory))}
    jobs.update({p.name: (p, lambda p=p: a_job(bed, p, settings.memory)) for p in peers})
    for name, found in rounds(1, present(jobs)).items():
        report.outcome(f"a queued job beside its payload: {name}", found, " B", Aim(700, True, "B") if name == "Millrace" else None)
    kinds = {"Millrace": Millrace(bed), "Fastify": BullMQ(bed), "nginx": Nginx(bed)}
    found = rounds(settings.rounds, present({k: (p, lambda k=k: a_connection(bed, k, settings.connections // 2)) for k, p in kinds.items()}))
    for name, values in found.items():
        report.outcome(f"a keep-alive connection: {name}", values, " KiB", Aim(12, True, "KiB") if name == "Millrace" else None)
    mine = rounds(1, {"ours": lambda: our_processes(bed)})["ours"]
    report.outcome("millrace-api, idle", part(mine, "api"), " MiB", Aim(12, True, "MiB"))
    report.outcome("millrace-api, after 20,000 jobs", part(mine, "api_after"), " MiB")
    report.outcome("millrace-worker, idle", part(mine, "worker"), " MiB", Aim(20, True, "MiB"))
    report.outcome("millrace-worker, after 20,000 jobs", part(mine, "worker_after"), " MiB", Aim(20, True, "MiB"))
    report.outcome("millrace-render, idle, each", part(mine, "renderer"), " MiB")
    workers = [BullMQ(bed, **one), Sidekiq(bed, **one), Celery(bed, pool="solo", **one)]
    for name, found in rounds(1, present({p.name: (p, lambda p=p: their_workers(bed, p)) for p in workers})).items():
        report.outcome(f"one worker process, idle: {name}", found, " MiB")
