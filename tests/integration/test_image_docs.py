"""docs/images.md speaks of every operation and every field that the table of operations holds, and shows each; so does the gallery."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/images.md").read_text()
SOURCES = sorted((ROOT / "queue/spec").glob("image*.c"))


def names(pattern):
    return {m for source in SOURCES for m in re.findall(pattern, source.read_text())}


def operations():
    return names(r'\{"([a-z]+)",\s*(?:\{\.kind = IMAGE_OP|\{IMAGE_OP|BLANK\(IMAGE_OP)')


def test_every_operation_is_told_with_an_example():
    assert len(operations()) == 27
    assert not {name for name in operations() if f'`{{"{name}": {{' not in TEXT}


def test_every_operation_is_shown():
    linked = set(re.findall(r"\(images/([a-z-]+)\.webp\)", TEXT))
    assert linked == {path.stem for path in (ROOT / "docs/images").glob("*.webp")}
    assert not {name for name in operations() if not any(re.fullmatch(f"{name}(-[a-z]+)?", picture) for picture in linked)}


def test_the_gallery_has_every_operation():
    shown = runpy.run_path(str(ROOT / "scripts/gallery"), run_name="gallery")["DOCS"]
    assert {key for ops in shown.values() for op in ops for key in op} == operations()
    assert set(re.findall(r"\(images/([a-z-]+)\.webp\)", TEXT)) == set(shown)


def test_every_field_is_told():
    fields = names(r'\.name = "([a-z_]+)"') | names(r'(?:SIDE|LENGTH|OFFSET|COLOUR|FLAG|AMOUNT)\("([a-z_]+)"')
    assert len(fields) > 50
    assert not {name for name in fields if f"`{name}`" not in TEXT and f'"{name}":' not in TEXT}


def test_every_limit_has_its_key():
    options = (ROOT / "worker/options.c").read_text()
    keys = re.findall(r"\| `([A-Z]+_[A-Z]+)` \|$", TEXT.split("## Limits")[1], re.M)
    assert len(keys) == 8
    for key in keys:
        assert f'"{key}"' in options, key
