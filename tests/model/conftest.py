import os

import pytest


@pytest.fixture(scope="session")
def no_c_of_ours():
    """Redis and spin run here, nothing that the sanitizers instrument: once is enough."""
    if any(mode in os.environ.get("MILLRACE_BUILD", "") for mode in ("asan", "tsan")):
        pytest.skip("no C of ours runs in it")
