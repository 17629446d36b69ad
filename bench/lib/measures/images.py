"""Image jobs: one JPEG to one width, and to five; beside BullMQ + sharp and a bare loop over the same library."""

import json
import os
import re

from lib import httpload, settings as sizes
from lib.children import peak_of
from lib.measures import Drain, part, present, rounds
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace
from lib.report import Aim
from stack import StackError

TITLE = "Images"
NOTE = (f"Images a second, all cores; a JPEG of {sizes.IMAGE[0]} × {sizes.IMAGE[1]}, outputs as JPEG of quality 80. Millrace decodes once for all widths, "
        "in a sandbox, and writes outputs and rows durably; sharp and the bare loop only write files.")


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


def ours(bed, n, *what, **save):
    peer = Images(bed, *what, **save)
    with bed.fresh("always"):
        peer.meet()
        peer.fill(n)
        with Drain(peer.left) as drain:
            peer.start_workers(PATH_ROOTS=bed.dir)
            rate, _ = drain.rate()
        if bed.rows("select count(*) from jobs where type = 'image' and state <> 5")[0][0]:
            raise StackError(f"images failed: {bed.rows('select error_text from jobs where state <> 5 limit 1')}")
        cpu = bed.rows("select avg((result->>'cpu_ms')::float) from jobs where type = 'image'")[0][0]
        memory = sum(peak_of(w.pid) for w in bed.stack.workers.values())
        return {"rate": rate, "note": f"renderer {cpu:.1f} ms CPU a job; at most {memory / 2**20:.0f} MiB"}


def sharp(bed, n, peer, path, widths, **how):
    with bed.fresh("always"):
        peer.fill(n, SOURCE=path, WIDTHS=",".join(map(str, widths)))
        with Drain(peer.left) as drain:
            processes = peer.start_workers("image", **how)
            rate, _ = drain.rate()
        memory = sum(peak_of(p.pid) for p in processes)
        return {"rate": rate, "note": f"at most {memory / 2**20:.0f} MiB"}


def bare(bed, n):
    """One process a core, each by itself: their rates add up."""
    each = max(1, n // os.cpu_count())
    with bed.fresh("off"):
        argv = [str(bed.build / "bare_loop"), str(source(bed)), str(each), str(sizes.WIDTH)]
        ps = [bed.children.start("bare-loop", [*argv, str(bed.dir / f"bare-{i}.jpg")]) for i in range(os.cpu_count())]
        rates = []
        for p in ps:
            if p.wait(600) != 0:
                raise StackError(f"bare_loop: {p.log.read_text()[-200:]}")
            rates.append(float(re.search(r"images/s ([\d.]+)", p.log.read_text()).group(1)))
        return {"rate": sum(rates), "note": ""}


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
        "BullMQ + sharp, one process": (single, lambda: sharp(bed, n, single, path, one)),
        "BullMQ + sharp, a process a core": (spread, lambda: sharp(bed, n, spread, path, one)),
    }))
    tell(report, found, {"bare loop over the same libvips": Aim(0.97), "BullMQ + sharp, one process": Aim(1.2),
                         "BullMQ + sharp, a process a core": Aim(1.2)})
    report.section(f"{TITLE}: five widths of one source", ", ".join(map(str, many)) + " px.")
    n = max(2, n // 4)
    found = rounds(settings.rounds, present({
        "Millrace": (me, lambda: ours(bed, n, path, many)),
        "BullMQ + sharp, a pipeline a width": (spread, lambda: sharp(bed, n, spread, path, many)),
        "BullMQ + sharp, each from the next larger": (spread, lambda: sharp(bed, n, spread, path, many, HOW="chain")),
    }))
    tell(report, found, {"BullMQ + sharp, a pipeline a width": Aim(2)})
