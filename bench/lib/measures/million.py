"""A queue that has grown long: is it as quick as a short one, and does anything but Redis grow with it?"""

from pathlib import Path

from lib.children import memory_of
from lib.measures import Drain, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace
from lib.report import Absent

TITLE = "A long queue"
MIB = 1 << 20


def peak_of(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1]) * 1024


def long_queue(bed, peer, n):
    with bed.fresh("off"):
        if isinstance(peer, Millrace):
            peer.meet()
        took = peer.fill(n)
        queued = bed.redis.info("memory")["used_memory"] / MIB
        api = memory_of(bed.stack.api.pid) / MIB if bed.stack.api else 0
        with Drain(peer.left) as drain:
            workers = peer.start_workers()
            rate, _ = drain.rate()
        peaks = sum(peak_of(w.pid) for w in workers) / MIB
        return {"fill": n / took, "drain": rate, "redis": queued, "api": api, "worker": peaks, "n": n}


def run(bed, settings, report):
    report.section(f"{TITLE}: {settings.million:,} jobs queued, then drained; AOF off", "BullMQ gets a tenth of it; both with the row in PostgreSQL.")
    me, bull = Millrace(bed), BullMQ(bed, rows=True)
    found = rounds(1, {"Millrace": lambda: long_queue(bed, me, settings.million),
                       "BullMQ": lambda: long_queue(bed, bull, max(200, settings.million // 10))})
    for name, results in found.items():
        if isinstance(results, Absent):
            report.absent(name, results)
            continue
        r = results[0]
        report.figure(f"{name}, {r['n']:,} jobs: in", [r["fill"]], "/s")
        report.figure(f"{name}, {r['n']:,} jobs: out", [r["drain"]], "/s")
        report.figure(f"{name}: Redis' memory when all were queued", [r["redis"]], " MiB")
        report.figure(f"{name}: the workers' peak", [r["worker"]], " MiB")
        if r["api"]:
            report.figure(f"{name}: the API after it took them", [r["api"]], " MiB")
