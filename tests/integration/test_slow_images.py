"""Images that take minutes stand before others in the queue; the others do not wait for them."""

import pytest

from support.pictures import plain_png

HOG = {"type": "image", "timeout_ms": 300000}
OUTPUTS = [{"name": f"a{i}", "format": "avif", "effort": 4} for i in range(16)]


@pytest.fixture
def stack(stacks):
    return stacks(RENDERERS="1", SLOW_COST="200ms", SLOW_WAITING="4")


def hog(stack, upload):
    return stack.client.submit({**HOG, "args": {"source": {"upload": upload}, "outputs": OUTPUTS}})


def quick(stack, upload):
    return stack.client.submit({"type": "image", "args": {"source": {"upload": upload}, "outputs": [
        {"name": "small", "ops": [{"resize": {"width": 32}}], "format": "jpeg"}]}})


def test_quick_images_pass_slow_ones(stack, picture):
    c = stack.client
    slow_source, quick_source = c.upload(picture(1600, 1200).read_bytes()), c.upload(plain_png(64, 64))
    hogs = [hog(stack, slow_source) for _ in range(4)]
    for _ in range(3):
        job = c.ended(quick(stack, quick_source))
        assert job["state"] == "succeeded", job
        assert job["result"]["predicted_ms"] < 200
    states = [c.job(h)["state"] for h in hogs]
    assert set(states) <= {"running", "queued"} and "running" in states
    for h in hogs:
        assert stack.post_json(f"/v1/jobs/{h}/cancel", {})[0] in (200, 202)
    assert {c.ended(h)["state"] for h in hogs} == {"cancelled"}
    assert not c.files("spool")
