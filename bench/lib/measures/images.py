"""Image jobs: one JPEG to one width, and to five; beside BullMQ + sharp and a bare loop over the same library."""

import json
import os
import re

from lib import httpload, settings as sizes
from lib.children import CpuMeter, peak_of
from lib.measures import Drain, cpu_note_ms, part, present, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace
from lib.report import Aim
from stack import StackError

TITLE = "Images"
NOTE = (f"Images a second, all cores; a JPEG of {sizes.IMAGE[0]} × {sizes.IMAGE[1]}, outputs as JPEG of quality 80. Millrace decodes once for all widths, "
        "in a sandbox, and writes outputs and rows durably; sharp and the bare loop only write files. CPU: from when a fifth is done; workers with "
        "all that they start.")


def source(bed):
    path = bed.dir / "source.jpg"
    if not path.exists():
        bed.children.run("picture", [str(bed.build / "picture"), *[str(x) for x in sizes.IMAGE], str(path)])
    return path


class Images(Millrace):
    """The same worker, with image jobs."""

    def __init__(self, bed, path, widths, form="jpeg", **save):
        super().__init__(bed)
        save = save or {"quality": 80}
        outputs = [{"name": f"w{w}", "ops": [{"resize": {"width": w}}], "format": form, **save} for w in widths]
        self.body = json.dumps({"type": "image", "args": {"source": {"path": str(path)}, "outputs": outputs}}).encode()

    def fill(self, n):
        self.start_api()
        httpload.pipelined(self.bed.stack.url, self.body, n)

    def left(self):
        return self.bed.redis.hlen("mr:{image}:state")


LOOK_S = 0.04  # an image takes longer than a no-op job: looking every 4 ms took a thirtieth of the machine


class Watched:
    """A queue run empty by processes that start() gives: images a second, processor time, memory at its largest."""

    def __init__(self, bed, left, start):
        self.meter, processes = None, []
        with Drain(left, on_warm=lambda: self.look(bed, processes), look_s=LOOK_S) as drain:
            processes += start()
            self.rate, counted = drain.rate()
        self.memory = sum(peak_of(p.pid) for p in processes)
        self.cpu = cpu_note_ms(self.meter.used(), counted) + "; " if self.meter else ""

    def look(self, bed, processes):
        self.meter = CpuMeter(workers=[p.pid for p in processes], Redis=bed.redis_pid, PostgreSQL=bed.pg_pid)

    def outcome(self, more=""):
        return {"rate": self.rate, "note": f"{more}{self.cpu}at most {self.memory / 2**20:.0f} MiB"}


def ours(bed, n, *what, **save):
    peer = Images(bed, *what, **save)
    with bed.fresh("always"):
        peer.meet()
        peer.fill(n)
        run = Watched(bed, peer.left, lambda: peer.start_workers(PATH_ROOTS=bed.dir))
        if bed.rows("select count(*) from jobs where type = 'image' and state <> 5")[0][0]:
            raise StackError(f"images failed: {bed.rows('select error_text from jobs where state <> 5 limit 1')}")
        cpu, predicted = bed.rows("select avg((result->>'cpu_ms')::float), avg((result->>'predicted_ms')::float) from jobs where type = 'image'")[0]
        return run.outcome(f"renderer {cpu:.1f} ms CPU a job, predicted {predicted:.0f}; ")


def sharp(bed, n, peer, path, widths, **how):
    with bed.fresh("always"):
        peer.fill(n, SOURCE=path, WIDTHS=",".join(map(str, widths)))
        return Watched(bed, peer.left, lambda: peer.start_workers("image", **how)).outcome()


def told(p):
    if p.wait(600) != 0:
        raise StackError(f"{p.name}: {p.log.read_text()[-200:]}")
    return [float(x) for x in re.search(r"images/s ([\d.]+) cpu_ms ([\d.]+)", p.log.read_text()).groups()]


def alone(start):
    """One process a core, each by itself: their rates add up."""
    found = [told(p) for p in [start(i) for i in range(os.cpu_count())]]
    return {"rate": sum(rate for rate, _ in found), "note": f"CPU an image: {sum(cpu for _, cpu in found) / len(found):.1f} ms"}


def bare(bed, n):
    argv = [str(bed.build / "bare_loop"), str(source(bed)), str(max(1, n // os.cpu_count())), str(sizes.WIDTH)]
    return alone(lambda i: bed.children.start("bare-loop", [*argv, str(bed.dir / f"bare-{i}.jpg")]))


def sharp_alone(bed, n, peer, path, widths, **how):
    more = {"N": max(1, n // os.cpu_count()), "SOURCE": path, "WIDTHS": ",".join(map(str, widths)), **how}
    return alone(lambda i: peer.start("sharp", ready="", **more))


def tell(report, found, aims):
    for name, results in found.items():
        report.outcome(name, part(results, "rate"), "/s", note=results[-1]["note"] if isinstance(results, list) else "")
    first = next(iter(found))
    for name in list(found)[1:]:
        report.ratio(f"{first} : {name}", part(found[first], "rate"), part(found[name], "rate"), aims.get(name))


def run(bed, settings, report):
    n, one, many, path = settings.images, [sizes.WIDTH], list(sizes.WIDTHS), source(bed)
    single = BullMQ(bed, processes=1, concurrency=os.cpu_count())
    spread = BullMQ(bed, processes=os.cpu_count(), concurrency=1)
    me = Millrace(bed)
    report.section(f"{TITLE}: {sizes.WIDTH} px wide", NOTE)
    found = rounds(settings.rounds, present({
        "Millrace": (me, lambda: ours(bed, n, path, one)),
        "bare loop over the same libvips": (me, lambda: bare(bed, n)),
        "sharp alone, a process a core": (spread, lambda: sharp_alone(bed, n, spread, path, one)),
        "BullMQ + sharp, one process": (single, lambda: sharp(bed, n, single, path, one)),
        "BullMQ + sharp, a process a core": (spread, lambda: sharp(bed, n, spread, path, one)),
    }))
    tell(report, found, {"bare loop over the same libvips": Aim(0.97), "BullMQ + sharp, one process": Aim(1.2),
                         "BullMQ + sharp, a process a core": Aim(1.2)})
    report.section(f"{TITLE}: five widths of one source", ", ".join(map(str, many)) + " px.")
    n = max(2, n // 4)
    found = rounds(settings.rounds, present({
        "Millrace": (me, lambda: ours(bed, n, path, many)),
        "sharp alone, a pipeline a width": (spread, lambda: sharp_alone(bed, n, spread, path, many)),
        "BullMQ + sharp, a pipeline a width": (spread, lambda: sharp(bed, n, spread, path, many)),
        "BullMQ + sharp, each from the next larger": (spread, lambda: sharp(bed, n, spread, path, many, HOW="chain")),
    }))
    tell(report, found, {"BullMQ + sharp, a pipeline a width": Aim(2)})
