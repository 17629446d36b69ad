"""lease.pml: the order of claim, effect, row and settlement, checked by spin over its whole state space (docs/model.md)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parent / "lease.pml"
SAFETY = (("-DSAFETY", "-DNOCLAIM"), ())
LIVENESS = ((), ("-a", "-f"))  # with weak fairness


@pytest.fixture
def check(no_c_of_ours, tmp_path):
    assert shutil.which("spin"), "spin is not installed (scripts/deps test)"

    def run(what, *macros):
        compile_flags, run_flags = what
        def tool(*argv):
            done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout
        tool("spin", *macros, "-a", str(MODEL))
        tool("gcc", "-O1", "-w", *compile_flags, "-o", "pan", "pan.c")
        return tool("./pan", *run_flags, "-m10000")

    return run


def errors(report):
    return int(re.search(r"errors: (\d+)", report)[1])


@pytest.mark.parametrize("what", [SAFETY, LIVENESS], ids=["safety", "liveness"])
def test_the_order_of_ending_a_job_holds(check, what):
    report = check(what, "-DFAULTS=2")
    print(report)
    assert errors(report) == 0
    assert "Search not completed" not in report and "max search depth too small" not in report
    assert int(re.search(r"(\d+) states, stored", report)[1]) > 10_000


@pytest.mark.parametrize("what, broken", [(LIVENESS, "BROKEN_ORDER"), (SAFETY, "BROKEN_GUARD"), (SAFETY, "BROKEN_FENCE"),
                                          (SAFETY, "BROKEN_ATTEMPT")], ids=lambda v: v if isinstance(v, str) else "")
def test_a_broken_order_is_found(check, what, broken):
    assert errors(check(what, "-DFAULTS=2", f"-D{broken}")) > 0
