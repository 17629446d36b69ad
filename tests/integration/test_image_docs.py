"""docs/images.md speaks of every operation and every field that the table of operations holds."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/images.md").read_text()
SOURCES = sorted((ROOT / "queue/spec").glob("image*.c"))


def names(pattern):
    return {m for source in SOURCES for m in re.findall(pattern, source.read_text())}


def test_every_operation_is_told():
    rows = names(r'\{"([a-z]+)",\s*(?:\{\.kind = IMAGE_OP|\{IMAGE_OP|BLANK\(IMAGE_OP)')
    assert len(rows) == 27
    missing = {name for name in rows if f"`{name}`" not in TEXT and f'{{"{name}": {{' not in TEXT}
    assert not missing


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
