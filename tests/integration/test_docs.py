"""What the documents say is what the programs do."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def test_configuration_page_is_what_the_programs_say(build):
    said = subprocess.run([str(ROOT / "scripts/config-docs"), str(build)], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs/configuration.md").read_text() == said, "run: make docs"


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]))
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{page}: {target}"


def test_every_endpoint_is_documented():
    api = (ROOT / "docs/api.md").read_text()
    for source in (ROOT / "api/endpoints").glob("*.c"):
        for pattern in re.findall(r'\.pattern = "([^"]+)"', source.read_text()):
            assert pattern in api or pattern.rsplit("/", 1)[-1] in api, f"{pattern} ({source.name}) is not in docs/api.md"


def test_every_configuration_key_in_prose_exists(build):
    errors = set(re.findall(r"X\((\w+),", (ROOT / "shared/err.h").read_text()))
    known = errors | set(re.findall(r"`MILLRACE_([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    for page in ("docs/api.md", "docs/jobs.md", "docs/operations.md"):
        for key in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", (ROOT / page).read_text()):
            assert key in known, f"{page}: {key}"


def test_every_job_type_is_documented_with_its_defaults():
    jobs = (ROOT / "docs/jobs.md").read_text()
    table = (ROOT / "queue/spec/table.c").read_text()
    rows = re.findall(r'\{"(\w+)", "(\w+)", (\d+), (\d+), spec_', table)
    assert rows
    for name, queue, attempts, timeout in rows:
        assert f"| `{name}` | `{queue}` | {attempts} | {int(timeout) // 1000} s |" in jobs, name


def test_every_fault_names_a_test_that_exists():
    page = (ROOT / "docs/reliability.md").read_text()
    there = {name for p in ROOT.glob("tests/fault/test_*.py") for name in re.findall(r"^def (test_\w+)", p.read_text(), re.M)}
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named and named <= there, named - there


def test_no_word_of_the_workshop_is_left_in_the_tree():
    done = subprocess.run(["git", "grep", "-nIE", r"\b(TODO|FIXME)\b", "--", ".", ":!tests/integration/test_docs.py", ":!package-lock.json"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""
