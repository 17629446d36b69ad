"""How much of everything is measured: whole, quick (a few minutes), tiny (for the harness's own test)."""

import json
from dataclasses import dataclass, replace

PAYLOAD_BYTES = 300
CONNECTIONS = 64  # keep-alive, of the HTTP load
BATCH = 1000      # jobs in one POST /v1/jobs/batch, and in one call of a peer's bulk method
IMAGE = (2725, 2225)
WIDTH = 720
WIDTHS = (1600, 1280, 960, 640, 320)
FRAME, FRAMES = (480, 360), 12  # of the animation


@dataclass(frozen=True)
class Settings:
    name: str
    rounds: int        # each contender once a round, in turn
    seconds: float     # of closed-loop HTTP load
    drain: int         # jobs, ours; peers take a share (see peers)
    bulk: int
    bulk_calls: int    # requests under way at once
    pickup_s: float
    pickup_rates: tuple
    idle: int          # single jobs, one after another
    images: int
    memory: int        # jobs queued to see what one costs
    connections: int   # opened to see what one costs
    million: int


FULL = Settings(name="full", rounds=3, seconds=8, drain=200_000, bulk=200_000, bulk_calls=4, pickup_s=8, pickup_rates=(200, 1000, 4000),
                idle=500, images=200, memory=100_000, connections=2000, million=1_000_000)
QUICK = replace(FULL, name="quick", rounds=1, seconds=2, drain=30_000, bulk=30_000, pickup_s=2, pickup_rates=(200, 2000), idle=100,
                images=24, memory=20_000, connections=500, million=100_000)
TINY = replace(QUICK, name="tiny", seconds=0.3, drain=500, bulk=2000, pickup_s=0.3, pickup_rates=(200,), idle=5, images=2, memory=1000,
               connections=20, million=1000)
ALL = {s.name: s for s in (FULL, QUICK, TINY)}


def payload(n=PAYLOAD_BYTES):
    """Text that looks like something: repeats would flatter whoever compresses."""
    words = "order 48213 for customer 9917 ships from warehouse 3 to 22 Mill Lane by courier; notify by mail when it leaves. "
    return (words * (n // len(words) + 1))[:n]


def body(**args):
    """What POST /v1/jobs takes, for the same payload as everyone's."""
    return json.dumps({"type": "noop", "args": {"payload": payload(), **args}}, separators=(",", ":")).encode()
