"""Many mixed images through one worker: every job ends, and memory stays where it was after the first thousand.

MILLRACE_IMAGES says how many (default 2500; the promise is about 20000, some minutes in a release build).
"""

import itertools
import os
import subprocess

import pytest

from support.audit import children, resident
from support.load import Load
from support.pictures import png

FIRST, ALL = 1000, int(os.environ.get("MILLRACE_IMAGES", "2500"))
END_S = 1200


def sources(stack, picture, directory):
    """Uploads of each format and of several sizes, and one that is only a header."""
    made = [picture(w, h) for w, h in ((320, 240), (640, 480), (1280, 960))]
    for suffix in ("png", "webp", "gif", "tif", "avif"):
        made.append(directory / f"small.{suffix}")
        subprocess.run(["vips", "copy", str(made[0]), str(made[-1])], check=True)
    return [stack.client.upload(path.read_bytes()) for path in made] + [stack.client.upload(png(300, 200))]


def images(n, uploads):
    looks = ([{"resize": {"width": 160}}], [{"resize": {"width": 96, "height": 96, "fit": "cover"}}, {"sharpen": {}}],
             [{"rotate": {"angle": 90}}, {"resize": {"width": 120}}], [{"resize": {"width": 80}}, {"blur": {"sigma": 2}}])
    kinds = itertools.product(uploads, looks, ("jpeg", "webp", "png"))
    for upload, ops, form in itertools.islice(itertools.cycle(kinds), n):
        yield {"type": "image", "args": {"source": {"upload": upload}, "outputs": [{"name": "o", "ops": ops, "format": form}]},
               "max_attempts": 1}


def weights(stack):
    worker = stack.workers["1"].pid
    return resident(worker), sum(resident(pid) for pid in children(worker))


def test_mixed_images_leave_memory_flat(stacks, picture, tmp_path):
    stack = stacks(RENDER_RECYCLE_JOBS="1000000")
    c = stack.client
    if c.sanitized():
        pytest.skip("a sanitizer's own memory says nothing about ours")
    uploads = sources(stack, picture, tmp_path)
    renderers = set(children(stack.workers["1"].pid))
    with Load(stack, images(FIRST, uploads), connections=16) as first:
        pass
    c.quiet(END_S)
    early = weights(stack)
    with Load(stack, images(ALL - FIRST, uploads), connections=16) as rest:
        pass
    c.quiet(END_S)
    late = weights(stack)
    print(f"resident after {FIRST}: worker {early[0] >> 10} KiB, renderers {early[1] >> 10} KiB; "
          f"after {ALL}: {late[0] >> 10} and {late[1] >> 10} KiB")
    assert set(children(stack.workers["1"].pid)) == renderers, "nobody died or was replaced: what was weighed is one life"
    ends = dict(c.rows("select coalesce(error, 'none'), count(*) from jobs where type = 'image' group by 1"))
    broken = sum(job["args"]["source"]["upload"] == uploads[-1] for n in (FIRST, ALL - FIRST) for job in images(n, uploads))
    assert len(first.acked) + len(rest.acked) == ALL
    assert ends == {"none": ALL - broken, "MALFORMED": broken}, ends
    for name, before, after in zip(("worker", "renderers"), early, late, strict=True):
        assert after <= 1.3 * before, f"{name}: {before >> 10} KiB after {FIRST} images, {after >> 10} KiB after {ALL}"
