"""srcset: widths times formats from one decode, and what a page needs to show them."""

import re
from html.parser import HTMLParser

import pytest

from support.pictures import header


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(RESULT_MEMORY="true")


@pytest.fixture(scope="module")
def upload(stack, picture):
    return stack.client.upload(picture(800, 600).read_bytes())


def run(stack, upload, args):
    job = stack.client.ended(stack.client.submit({"type": "image", "args": {"source": {"upload": upload}, **args}}))
    assert job["state"] == "succeeded", job
    return job


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def candidates(text):
    return [(url, int(width)) for url, width in re.findall(r"(\S+) (\d+)w", text)]


def check(stack, job, widths, formats, sizes=None):
    result = job["result"]
    assert set(result["srcset"]) == set(formats)
    for name in formats:
        told = candidates(result["srcset"][name])
        assert [w for _, w in told] == widths
        for url, width in told:
            assert url.startswith(f"/v1/jobs/{job['id']}/outputs/")
            status, head, body = stack.get(url)
            assert status == 200 and head["content-type"] == f"image/{name}"
            out, = [o for o in job["outputs"] if o["url"] == url]
            assert header(stack.dir / "blobs" / out["file"])[::2] == (width, name)
    tags = Elements(result["picture"]).found
    assert [t for t, _ in tags] == ["picture", *["source"] * (len(formats) - 1), "img"]
    for (_, attrs), name in zip(tags[1:], formats):
        assert attrs["srcset"] == result["srcset"][name] and attrs.get("sizes") == sizes
        assert attrs.get("type", f"image/{formats[-1]}") == f"image/{name}"
    assert int(tags[-1][1]["width"]) == max(widths)


def test_widths_times_formats(stack, upload):
    job = run(stack, upload, {"srcset": {"widths": [160, 320, 640], "formats": ["webp", "jpeg"], "quality": 60, "sizes": "(max-width: 40em) 100vw, 50vw"}})
    assert sorted(o["name"] for o in job["outputs"]) == sorted(f"{f}-{w}" for f in ("webp", "jpeg") for w in (160, 320, 640))
    check(stack, job, [160, 320, 640], ["webp", "jpeg"], "(max-width: 40em) 100vw, 50vw")


def test_nothing_is_enlarged_and_no_width_is_told_twice(stack, upload):
    job = run(stack, upload, {"srcset": {"widths": [400, 1600, 2000], "formats": ["png"]}})
    check(stack, job, [400, 800], ["png"])
    assert len(job["outputs"]) == 3


def test_a_remembered_result_tells_its_own_addresses(stack, upload):
    args = {"srcset": {"widths": [100, 200], "formats": ["webp", "jpeg"]}}
    first, second = (run(stack, upload, args) for _ in range(2))
    assert second["result"]["cached"] and first["id"] != second["id"]
    for job in (first, second):
        check(stack, job, [100, 200], ["webp", "jpeg"])


def test_in_a_recipe(stack, upload):
    body = b'{"srcset": {"widths": [50], "formats": ["webp"]}}'
    assert stack.request("PUT", "/v1/recipes/set", body, {"content-type": "application/json"})[0] == 201
    check(stack, run(stack, upload, {"recipe": "set"}), [50], ["webp"])
