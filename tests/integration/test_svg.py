"""SVG: refused unless the operator allows it; then drawn where it says and as sharp as it is asked for, and nothing beside it is read."""

import gzip
import subprocess

import pytest

from support.attacks import data_url, svg
from support.origin import Origin
from support.pictures import plain_png

RED, GREY, CLEAR = [255, 0, 0, 255], [100, 100, 100], [0, 0, 0, 0]
RECT = '<rect x="10" y="5" width="20" height="10" fill="#f00"/>'
OFF = "the source is SVG, which is not taken here (SOURCE_SVG is off)"
LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(SOURCE_SVG="true", SOURCE_SVG_BYTES=str(LIMIT), SOURCE_PIXELS="1000000")


@pytest.fixture
def origin():
    server = Origin()
    yield server
    server.close()


def run(stack, source, *ops, kind="image", **more):
    if not isinstance(source, dict):
        source = {"upload": stack.client.upload(source)}
    args = {"source": source, **more}
    if kind == "image":
        args["outputs"] = [{"name": f"o{i}", "ops": list(one), "format": "png"} for i, one in enumerate(ops or ([],))]
    return stack.client.ended(stack.client.submit({"type": kind, "args": args}))


def file(stack, job, output=0):
    assert job["state"] == "succeeded", job
    return stack.dir / "blobs" / job["outputs"][output]["file"]


def point(path, x, y):
    said = subprocess.run(["vips", "getpoint", str(path), str(x), str(y)], capture_output=True, text=True, check=True).stdout
    return [int(float(v)) for v in said.split()]


def dead(job, error, text):
    assert (job["state"], job["error"], job["attempt"]) == ("dead", error, 1) and text in job["error_text"], job


# --- where it is not allowed

def test_svg_is_refused_by_default(stacks, origin):
    stack = stacks()
    origin.pages["/a"] = origin.file(svg(RECT), content_type="image/svg+xml")
    for source in (svg(RECT), b"\xef\xbb\xbf" + svg(before="<?xml version='1.0'?><!-- a --><!DOCTYPE svg>"), {"url": origin.url("/a")}):
        dead(run(stack, source), "UNSUPPORTED", OFF)
        dead(run(stack, source, kind="image.info"), "UNSUPPORTED", OFF)
    mark = {"watermark": {"source": {"url": origin.url("/a")}}}
    dead(run(stack, plain_png(40, 30), [mark]), "UNSUPPORTED", f"/args/outputs/0/ops/0/watermark/source: {OFF}")
    assert not stack.client.files("spool")


# --- where it is

def test_a_rectangle_where_it_is_said_to_be(stack, origin):
    origin.pages["/a"] = origin.file(svg(RECT))
    for source in (svg(RECT), {"url": origin.url("/a")}):
        job = run(stack, source)
        path = file(stack, job)
        assert job["result"]["source"] == {"format": "svg", "width": 60, "height": 40}
        assert [point(path, *at) for at in ((9, 9), (10, 5), (29, 14), (30, 14), (29, 15))] == [CLEAR, RED, RED, CLEAR, CLEAR]
    assert not stack.client.files("spool")


def test_as_large_as_asked_for_and_sharp(stack):
    job = run(stack, svg(RECT), [{"resize": {"width": 600}}], [{"resize": {"width": 30}}], [{"resize": {"width": 600, "height": 600, "fit": "contain"}}])
    assert [(o["width"], o["height"]) for o in job["result"]["outputs"]] == [(600, 400), (30, 20), (600, 600)]
    path = file(stack, job)
    assert [point(path, *at) for at in ((99, 100), (100, 50), (299, 149), (300, 149), (299, 150))] == [CLEAR, RED, RED, CLEAR, CLEAR]
    small = point(file(stack, job, 1), 8, 5)
    assert small[:3] == RED[:3] and small[3] > 240


def test_without_a_size(stack):
    job = run(stack, svg(RECT, 'viewBox="0 0 60 40"'))
    assert job["result"]["source"] == {"format": "svg", "width": 60, "height": 40} and point(file(stack, job), 20, 10) == RED
    job = run(stack, svg(RECT, ""))  # what it shows
    assert job["result"]["source"]["width"] == 20 and point(file(stack, job), 10, 5) == RED
    dead(run(stack, svg("", "")), "MALFORMED", "broken svg: it has no size")


def test_the_default_format_and_a_description(stack):
    upload = {"upload": stack.client.upload(svg(RECT))}
    job = stack.client.ended(stack.client.submit({"type": "image", "args": {"source": upload, "outputs": [{"name": "a"}]}}))
    assert job["outputs"][0]["format"] == "webp", job
    info = run(stack, upload, kind="image.info")["result"]["info"]
    assert info["has_alpha"] and info["pages"] == 1, info
    dead(run(stack, upload, page=1), "MALFORMED", "page 1: the source has 1")


def test_a_watermark_is_sharp_too(stack, origin):
    origin.pages["/a"] = origin.file(svg('<rect x="2" width="4" height="8" fill="#f00"/>', 'width="8" height="8"'))
    job = run(stack, plain_png(400, 400, tuple(GREY)), [{"watermark": {"source": {"url": origin.url("/a")}, "scale": 1}}])
    assert [point(file(stack, job), x, 200) for x in (97, 102, 297, 302)] == [GREY, RED[:3], RED[:3], GREY]


@pytest.mark.parametrize("data,error,text", [
    (svg("", 'width="2000" height="2000"'), "TOO_BIG", "the source is 2000 x 2000 = 4000000 pixels, the limit is 1000000 (SOURCE_PIXELS)"),
    (svg("", 'style="width:2000px;height:2000px"'), "TOO_BIG", "2000 x 2000 = 4000000 pixels"),
    (svg("<!--" + "a" * LIMIT + "-->"), "TOO_BIG", f"the limit is {LIMIT} (SOURCE_SVG_BYTES)"),
    (svg("<g>"), "MALFORMED", "cut off"), (gzip.compress(svg(RECT)), "UNSUPPORTED", "SVGZ"),
    (svg().decode().encode("utf-16"), "UNSUPPORTED", "UTF-16"), (b"<?xml version='1.0'?><a/>", "UNSUPPORTED", "XML")])
def test_what_is_refused_all_the_same(stack, data, error, text):
    dead(run(stack, data), error, text)


# --- what it refers to

def test_nothing_beside_it_is_read(stack, origin, tmp_path):
    """A file that everybody may read and a server that everybody may ask: the picture is the same as without either."""
    tmp_path.chmod(0o755)
    (tmp_path / "secret.png").write_bytes(plain_png(60, 40, (255, 0, 0)))
    (tmp_path / "secret.svg").write_bytes(svg('<rect id="a" width="60" height="40" fill="#f00"/>'))
    (tmp_path / "secret.css").write_text("rect{fill:#f00 !important}")
    for name in ("secret.png", "secret.svg", "secret.css"):
        origin.pages[f"/{name}"] = origin.file((tmp_path / name).read_bytes())
    bodies = ('<image width="60" height="40" href="{}"/>', '<image width="60" height="40" xlink:href="{}"/>', '<use href="{}#a"/>',
              '<rect width="60" height="40" fill="url({}#a)"/>',
              '<style>@import url("{}");</style>', '<filter id="f"><feImage href="{}"/></filter><g filter="url(#f)"/>')
    places = [f"{root}/secret.{kind}" for root in (tmp_path, f"file://{tmp_path}", origin.url("")) for kind in ("png", "svg", "css")]
    blue = '<rect width="60" height="40" fill="#00f"/>'
    plain = run(stack, svg(blue))["outputs"][0]["sha256"]
    ids = {}
    for body in bodies:
        for place in places:
            upload = {"upload": stack.client.upload(svg(blue + body.format(place)))}
            ids[body.format(place)] = stack.client.submit({"type": "image", "args": {"source": upload, "outputs": [{"name": "o0", "format": "png"}]}})
    jobs = {what: stack.client.ended(i) for what, i in ids.items()}
    assert {what: j["state"] for what, j in jobs.items() if j["state"] != "succeeded"} == {}
    assert {what for what, j in jobs.items() if j["outputs"][0]["sha256"] != plain} == set()
    assert not origin.asked
    assert not stack.client.events("worker-1", "renderer.died")


def test_a_picture_inside_is_drawn_and_counts(stack):
    job = run(stack, svg(f'<image width="60" height="40" href="{data_url(plain_png(6, 4, (255, 0, 0)))}"/>'))
    assert point(file(stack, job), 30, 20) == RED
    dead(run(stack, svg(f'<image width="60" height="40" href="{data_url(plain_png(1200, 900))}"/>')), "TOO_BIG",
         "in a picture that the SVG embeds: the source is 1200 x 900")


def test_the_memory_of_results_does_not_hide_the_switch(stacks):
    """What was made while it was allowed is not given once it is not."""
    stack = stacks(SOURCE_SVG="true", RESULT_MEMORY="true")
    assert run(stack, svg(RECT))["state"] == "succeeded" and run(stack, svg(RECT))["result"]["cached"]
    assert stack.workers.pop("1").stop() == 0
    stack.start_worker("2", SOURCE_SVG="false")
    dead(run(stack, svg(RECT)), "UNSUPPORTED", OFF)
