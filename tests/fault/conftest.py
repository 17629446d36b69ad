"""Fixtures of the fault tests."""

import pytest

from support.faults import Clock, Relays, SmallDisk
from support.receiver import Receiver


@pytest.fixture
def relays():
    made = Relays()
    yield made
    made.close()


@pytest.fixture
def stacks(relays, stacks):
    """As ever; and the relays outlive the daemons that are connected through them."""
    return stacks


@pytest.fixture
def small_disk(tmp_path_factory):
    """small_disk(directory, size): a disk that can be filled; skips where none can be mounted."""
    made = []

    def make(directory, size):
        disk = SmallDisk(directory, size)
        if not disk.mounted:
            pytest.skip(f"a small disk cannot be mounted here: {disk.why_not}")
        made.append(disk)
        return disk

    yield make
    for disk in made:
        disk.close()


@pytest.fixture
def receiver():
    """Closes its connections, so that none of them is counted as left open."""
    made = Receiver(keep_alive=False)
    yield made
    made.close()


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)
