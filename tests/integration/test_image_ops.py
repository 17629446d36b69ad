"""Image jobs from upload to file: operations held against Debian's own vips tool, animations, watermarks, text, descriptions."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.pictures import gif, plain_png, turned


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(SOURCE_FRAMES="3", OUTPUT_BYTES="2m")


def run(stack, source, *outputs, **args):
    return stack.client.ended(stack.client.submit(
        {"type": "image", "args": {"source": {"upload": source}, "outputs": list(outputs), **args}}))


def files(stack, job):
    assert job["state"] == "succeeded", job
    return {o["name"]: stack.dir / "blobs" / o["file"] for o in job["outputs"]}


def vips(*args):
    return subprocess.run(["vips", *map(str, args)], capture_output=True, text=True, check=True).stdout.strip()


def field(path, name):
    return re.search(rf"^{name}: (.*)$", subprocess.run(["vipsheader", "-a", str(path)], capture_output=True, text=True, check=True).stdout, re.M)[1]


def difference(a, b, tmp_path):
    """(mean, size a, size b) of two pictures' distance, bands and all."""
    size = [(field(p, "width"), field(p, "height"), field(p, "bands")) for p in (a, b)]
    if size[0] != size[1]:
        return None, *size
    vips("subtract", a, b, tmp_path / "d.v")
    vips("abs", tmp_path / "d.v", tmp_path / "e.v")
    return float(vips("avg", tmp_path / "e.v")), *size


# --- against another program

# name: (our operations, the tool's command between source and result, tolerance of the mean)
COMPARED = {
    "rotate": ([{"rotate": {"angle": 90}}], ["rot", "SRC", "DST", "d90"], 0),
    "flip": ([{"flip": {}}], ["flip", "SRC", "DST", "vertical"], 0),
    "flop": ([{"flop": {}}], ["flip", "SRC", "DST", "horizontal"], 0),
    "extract": ([{"extract": {"left": 30, "top": 40, "width": 100, "height": 80}}], ["crop", "SRC", "DST", 30, 40, 100, 80], 0),
    "pad": ([{"pad": {"left": 7, "top": 9, "background": "#000000"}}], ["embed", "SRC", "DST", 7, 9, 407, 309], 0),
    "negate": ([{"negate": {}}], ["invert", "SRC", "DST"], 0),
    "grayscale": ([{"grayscale": {}}], ["colourspace", "SRC", "DST", "b-w"], 1),
    "blur": ([{"blur": {"sigma": 4}}], ["gaussblur", "SRC", "DST", 4], 0.5),
    "sharpen": ([{"sharpen": {"sigma": 1}}], ["sharpen", "SRC", "DST", "--sigma", 1], 0.5),
    "half": ([{"resize": {"width": 200}}], ["thumbnail", "SRC", "DST", 200], 0.6),
    "cover": ([{"resize": {"width": 120, "height": 120, "fit": "cover"}}],
              ["thumbnail", "SRC", "DST", 120, "--height", 120, "--crop", "centre"], 0.8),
    "nearest": ([{"resize": {"width": 800, "enlarge": True, "kernel": "nearest"}}], ["resize", "SRC", "DST", 2, "--kernel", "nearest"], 0.1),
    "mitchell": ([{"resize": {"width": 100, "kernel": "mitchell"}}], ["resize", "SRC", "DST", 0.25, "--kernel", "mitchell"], 0.6),
    "lanczos2": ([{"resize": {"width": 100, "kernel": "lanczos2"}}], ["resize", "SRC", "DST", 0.25, "--kernel", "lanczos2"], 0.6),
    "linear": ([{"resize": {"width": 100, "kernel": "linear"}}], ["resize", "SRC", "DST", 0.25, "--kernel", "linear"], 0.6),
    "cubic": ([{"resize": {"width": 100, "kernel": "cubic"}}], ["resize", "SRC", "DST", 0.25, "--kernel", "cubic"], 0.6),
    "lanczos3": ([{"resize": {"width": 100, "kernel": "lanczos3"}}], ["resize", "SRC", "DST", 0.25, "--kernel", "lanczos3"], 0.6),
    "twice": ([{"resize": {"width": 800, "enlarge": True}}], ["resize", "SRC", "DST", 2], 0.1),
    "attention": ([{"extract": {"width": 100, "height": 80, "gravity": "attention"}}], ["smartcrop", "SRC", "DST", 100, 80], 0),
    "entropy": ([{"extract": {"width": 100, "height": 80, "gravity": "entropy"}}],
                ["smartcrop", "SRC", "DST", 100, 80, "--interesting", "entropy"], 0),
    "gamma": ([{"gamma": {"exponent": 2}}], ["gamma", "SRC", "DST", "--exponent", 2], 0.6),
}


def test_operations_agree_with_the_vips_tool(stack, picture, tmp_path):
    source = tmp_path / "source.png"
    vips("copy", picture(400, 300), source)
    job = run(stack, stack.client.upload(source.read_bytes()),
              *[{"name": name, "ops": ops, "format": "png"} for name, (ops, _, _) in COMPARED.items()])
    ours = files(stack, job)
    wrong = {}
    for name, (_, command, tolerance) in COMPARED.items():
        theirs = tmp_path / f"{name}.v"
        vips(*[source if word == "SRC" else theirs if word == "DST" else word for word in command])
        far, a, b = difference(ours[name], theirs, tmp_path)
        if far is None or far > tolerance:
            wrong[name] = (far, a, b)
    assert not wrong


@pytest.mark.parametrize("profile,suffix", [("cmyk", "jpg"), ("p3", "png"), ("p3", "jpg")])
def test_profiles_are_read_as_the_vips_tool_reads_them(stack, picture, tmp_path, profile, suffix):
    source, theirs = tmp_path / f"source.{suffix}", tmp_path / "theirs.v"
    vips("icc_export", picture(400, 300), source, "--output-profile", profile)
    vips("icc_transform", source, theirs, "srgb", "--embedded")
    job = run(stack, stack.client.upload(source.read_bytes()), {"name": "a", "format": "png"}, {"name": "b", "format": "png", "ops": [{"flip": {}}]})
    ours = files(stack, job)
    assert job["result"]["source"]["format"] == {"jpg": "jpeg", "png": "png"}[suffix]
    assert difference(ours["a"], theirs, tmp_path)[0] < 0.5
    vips("flip", theirs, tmp_path / "flipped.v", "vertical")
    assert difference(ours["b"], tmp_path / "flipped.v", tmp_path)[0] < 0.5


def test_the_examples_of_the_docs_run(stack, picture):
    text = (ROOT / "docs/images.md").read_text().split("## Operations")[1].split("## The result")[0]
    mark = stack.client.upload(plain_png(20, 10))
    examples = [json.loads(found.replace("<id>", mark)) for found in re.findall(r"`(\{\"[a-z]+\": \{.*?\}\})`", text)]
    assert len(examples) >= 27
    job = run(stack, stack.client.upload(picture(400, 300).read_bytes()),
              *[{"name": f"o{i}", "ops": [op], "format": "png"} for i, op in enumerate(examples)])
    assert len(files(stack, job)) == len(examples)


# --- what moves

def test_an_animation_stays_one(stack):
    upload = stack.client.upload(gif())
    half = [{"resize": {"width": 20}}]
    job = run(stack, upload, {"name": "gif", "ops": half}, {"name": "webp", "ops": half, "format": "webp"},
              {"name": "still", "ops": half, "format": "jpeg"})
    path = files(stack, job)
    frames = {o["name"]: (o["width"], o["height"], o.get("frames")) for o in job["result"]["outputs"]}
    assert frames == {"gif": (20, 20, 3), "webp": (20, 20, 3), "still": (20, 20, None)}
    for name in ("gif", "webp"):
        assert field(path[name], "n-pages") == "3" and field(path[name], "delay").split()[0] == "70"
    job = run(stack, upload, {"name": "one", "format": "png"}, page=2)
    assert vips("getpoint", files(stack, job)["one"], 5, 5).split()[:3] == ["0", "0", "200"]
    job = run(stack, upload, {"name": "one"}, page=3)
    assert (job["error"], job["error_text"]) == ("MALFORMED", "page 3: the source has 3, the first is 0")
    job = run(stack, stack.client.upload(gif(4)), {"name": "gif"})
    assert job["error"] == "TOO_BIG" and "4 frames, the limit is 3 (SOURCE_FRAMES)" in job["error_text"]


# --- over the picture

def test_a_watermark_comes_from_an_upload(stack):
    upload, mark = stack.client.upload(plain_png(200, 100, (100, 100, 100))), stack.client.upload(plain_png(20, 10, (255, 0, 0)))
    op = {"watermark": {"source": {"upload": mark}, "gravity": "northwest", "x": 10, "y": 10, "opacity": 0.5}}
    path = files(stack, run(stack, upload, {"name": "a", "ops": [op], "format": "png"}))["a"]
    inside = [float(v) for v in vips("getpoint", path, 15, 15).split()]
    assert abs(inside[0] - 178) <= 2 and abs(inside[1] - 50) <= 2
    assert vips("getpoint", path, 40, 15).split() == ["100", "100", "100"]
    op["watermark"]["source"] = {"upload": "019a0b5c-7000-7000-8000-00000000002a"}
    job = run(stack, upload, {"name": "a", "ops": [op]})
    assert job["error"] == "NOT_FOUND" and job["error_text"].startswith("/args/outputs/0/ops/0/watermark/source/upload: ")
    op["watermark"]["source"] = {"upload": stack.client.upload(b"no picture at all")}
    job = run(stack, upload, {"name": "a", "ops": [op]})
    assert job["error"] == "UNSUPPORTED" and job["error_text"].startswith("/args/outputs/0/ops/0/watermark/source: ")
    assert not stack.client.files("spool")


def test_text_is_drawn_and_is_no_markup(stack):
    upload = stack.client.upload(plain_png(300, 100, (0, 0, 0)))
    ops = [{"text": {"text": "<b>\u00dcber & „so“</b>", "size": 24, "gravity": "center"}}]
    path = files(stack, run(stack, upload, {"name": "a", "ops": ops, "format": "png"}))["a"]
    assert float(vips("avg", path)) > 2


# --- descriptions

def test_a_picture_is_described(stack, picture):
    jpeg = turned(picture(400, 200).read_bytes(), 6)
    upload = stack.client.upload(jpeg)
    job = stack.client.ended(stack.client.submit({"type": "image.info", "args": {"source": {"upload": upload}}}))
    assert job["state"] == "succeeded" and "outputs" not in job and job["queue"] == "image"
    info = job["result"]["info"]
    assert job["result"]["source"] == {"format": "jpeg", "width": 400, "height": 200}
    assert (info["pages"], info["orientation"], info["bits"], info["has_alpha"], info["space"]) == (1, 6, 8, False, "srgb")
    assert len(info["blurhash"]) == 28 and len(info["dhash"]) == len(info["phash"]) == 16 and 1 <= len(info["colours"]) <= 5
    assert all(re.fullmatch("#[0-9a-f]{6}", c["colour"]) and 0 < c["share"] <= 1 for c in info["colours"])
    job = run(stack, upload, {"name": "a", "ops": [{"resize": {"width": 50}}]}, describe=True)
    assert job["result"]["info"]["phash"] == info["phash"] or bin(int(job["result"]["info"]["phash"], 16) ^ int(info["phash"], 16)).count("1") <= 4
    assert len(job["outputs"]) == 1


def test_a_broken_picture_is_not_described(stack):
    job = stack.client.ended(stack.client.submit({"type": "image.info", "args": {"source": {"upload": stack.client.upload(b"GIF89a")}}}))
    assert (job["state"], job["error"]) == ("dead", "MALFORMED")


# --- files

def test_the_smallest_format_and_the_quality_that_fits_are_told(stack, picture):
    upload = stack.client.upload(picture(800, 600).read_bytes())
    job = run(stack, upload, {"name": "auto", "format": "auto"}, {"name": "fits", "format": "jpeg", "max_bytes": 20000})
    outputs = {o["name"]: o for o in job["result"]["outputs"]}
    assert outputs["fits"]["bytes"] <= 20000 and 1 <= outputs["fits"]["quality"] < 80
    assert outputs["auto"]["format"] in ("webp", "avif", "jpeg")


def test_an_output_over_its_bytes_is_refused(stack, picture):
    upload = stack.client.upload(picture(1000, 800).read_bytes())
    job = run(stack, upload, {"name": "big", "format": "tiff", "tiff_compression": "none"})
    assert job["error"] == "TOO_BIG" and "the limit is 2097152 (OUTPUT_BYTES)" in job["error_text"]


def test_heic_is_read_where_the_library_can(stack, picture, tmp_path):
    source = tmp_path / "photo.heic"
    vips("heifsave", picture(400, 300), source, "--compression", "hevc")
    assert source.read_bytes()[4:12] == b"ftypheic"
    job = run(stack, stack.client.upload(source.read_bytes()), {"name": "a", "ops": [{"resize": {"width": 100}}]})
    if job["state"] == "succeeded":
        assert job["result"]["source"] == {"format": "heif", "width": 400, "height": 300}
        assert [(o["format"], o["width"], o["height"]) for o in job["outputs"]] == [("webp", 100, 75)]
    else:
        assert job["error"] == "UNSUPPORTED" and job["attempt"] == 1
