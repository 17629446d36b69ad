"""Image jobs by format: what each source and each encoder costs, beside BullMQ + sharp with the same qualities and efforts."""

import os

from lib import settings as sizes
from lib.measures import present, rounds
from lib.measures.images import ours, sharp, sharp_alone, source, tell
from lib.peers.bullmq import BullMQ
from lib.peers.millrace import Millrace

TITLE = "Images by format"
NOTE = (f"Images a second, all cores; {sizes.IMAGE[0]} × {sizes.IMAGE[1]} to {sizes.WIDTH} px wide (a gif of {sizes.FRAMES} frames to half its width). "
        "Both with the same quality and effort; sharp with a process a core. Memory: the sum of each process's peak, shared pages counted in each.")
# What is said of it, suffix of the source, format of the output and how it is saved, part of the jobs: slow encoders get fewer.
CASES = (
    ("jpeg to jpeg", "jpg", "jpeg", {"quality": 80}, 1),
    ("png to jpeg", "png", "jpeg", {"quality": 80}, 0.5),
    ("webp to jpeg", "webp", "jpeg", {"quality": 80}, 1),
    ("jpeg to webp", "jpg", "webp", {"quality": 80, "effort": 2}, 1),
    ("jpeg to avif", "jpg", "avif", {"quality": 50, "effort": 2}, 0.5),
    ("animated gif to gif", "gif", "gif", {"effort": 4}, 0.5),
)


def made(bed, suffix):
    """The same picture in another format; a gif is a strip cut into frames. Debian's own vips makes both."""
    path = bed.dir / f"formats.{suffix}"
    if path.exists() or suffix == "jpg":
        return source(bed) if suffix == "jpg" else path
    if suffix != "gif":
        bed.children.run("vips", ["vips", "copy", str(source(bed)), str(path)])
        return path
    strip = bed.dir / "strip.jpg"
    width, height = sizes.FRAME
    bed.children.run("picture", [str(bed.build / "picture"), str(width), str(height * sizes.FRAMES), str(strip)])
    bed.children.run("vips", ["vips", "gifsave", str(strip), str(path), "--page-height", str(height)])
    return path


def run(bed, settings, report):
    me, peer = Millrace(bed), BullMQ(bed, processes=os.cpu_count(), concurrency=1)
    for what, suffix, form, save, share in CASES:
        path, n = made(bed, suffix), max(2, int(settings.images * share))
        how = {"FORMAT": form, "QUALITY": save.get("quality", ""), "EFFORT": save.get("effort", "")}
        widths = [sizes.FRAME[0] // 2 if form == "gif" else sizes.WIDTH]
        report.section(f"{TITLE}: {what}", NOTE if what == CASES[0][0] else "")
        tell(report, rounds(settings.rounds, present({
            "Millrace": (me, lambda p=path, w=widths, f=form, s=save, n=n: ours(bed, n, p, w, f, **s)),
            "sharp alone": (peer, lambda p=path, w=widths, h=how, n=n: sharp_alone(bed, n, peer, p, w, **h)),
            "BullMQ + sharp": (peer, lambda p=path, w=widths, h=how, n=n: sharp(bed, n, peer, p, w, **h)),
        })), {})
