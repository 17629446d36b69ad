"""Random faults for a short while: the long form is `make chaos`."""

import itertools

from support.chaos import Chaos, steps, told

SEED = 20


def test_a_seed_repeats_its_faults():
    first, again, other = (list(itertools.islice(steps(seed), 50)) for seed in (7, 7, 8))
    assert first == again != other
    assert len({s.fault.__name__ for step in itertools.islice(steps(7), 300) for s in step.strikes}) >= 18, "all kinds come"
    assert all(len({s.part for s in step.strikes}) == len(step.strikes) for step in first), told(first[0])


def test_twenty_seconds_of_chaos(stacks, relays, clock, receiver):
    stack = stacks(start=False, **Chaos.CONFIG)
    Chaos(stack, relays, clock, receiver).run(steps(SEED), 20)
