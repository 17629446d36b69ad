"""Every interleaving of the moves of queue/lua in small worlds, and that mistakes in them are found (docs/model.md)."""

import pytest

from model.explore import Counterexample, explore
from model.mistakes import MISTAKES
from model.scripts import ELSEWHERE, READS, SAME, Machine, recipes
from model.world import Size
from model.worlds import private_redis, worlds


@pytest.fixture(scope="module")
def socket(no_c_of_ours):
    with private_redis() as path:
        yield path


@pytest.mark.parametrize("name", worlds(1))
def test_the_protocol_holds_in_every_interleaving(socket, name):
    explorer = explore(Machine(socket), worlds(1)[name])
    assert len(explorer.nodes) > 1000, "most of the world was not reached"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(socket, name):
    mistake = MISTAKES[name]
    with pytest.raises(Counterexample) as found:
        explore(Machine(socket, mistake.mutation), mistake.size)
    print(found.value)
    assert mistake.says in found.value.text
    assert found.value.trace, "a counterexample comes with the moves that lead there"


def test_every_script_that_writes_is_explored(socket):
    """A new one goes into world.py."""
    explorer = explore(Machine(socket), Size(processes=1, settles=("done",), attempts=1, key_running=1, changes=True))
    used = {call.script for known in explorer.known.values() for call in known.results if not isinstance(call, str)}
    assert set(recipes()) - READS - ELSEWHERE - SAME <= used
