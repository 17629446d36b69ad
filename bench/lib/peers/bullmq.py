"""BullMQ: Node processes with many jobs in flight each; with or without the row in PostgreSQL."""

import os
from pathlib import Path

from lib import settings
from lib.peers import Peer, took_s

CONCURRENCY = 300  # bench/run --only tune: beyond it nothing is gained
HERE = Path(__file__).resolve().parent.parent.parent / "peers/node"


class BullMQ(Peer):
    """Options: rows, concurrency, processes."""

    share = 0.25

    @property
    def name(self):
        return "BullMQ, row in PostgreSQL" if self.options.get("rows") else "BullMQ"

    def absent(self):
        return None if (HERE / "node_modules/bullmq").is_dir() else "bench/peers/node is not installed: scripts/deps bench"

    def env(self, **more):
        return {**self.bed.env(), "NODE_ENV": "production", **{f"BENCH_{k}": str(v) for k, v in more.items()}}

    def run(self, program, **more):
        return self.bed.children.run(f"bullmq-{program}", ["node", str(HERE / f"{program}.mjs")], env=self.env(**more))

    def start(self, program, ready="ready\n", **more):
        return self.bed.children.start(f"bullmq-{program}", ["node", str(HERE / f"{program}.mjs")], env=self.env(**more), ready=ready)

    def fill(self, n, **more):
        return took_s(self.run("fill", N=n, **{"PAYLOAD": settings.payload(), **more}))

    def add_one_by_one(self, n):
        return took_s(self.run("produce", N=n, PAYLOAD=settings.payload()))

    def start_workers(self, program="worker", **more):
        more.setdefault("CONCURRENCY", self.options.get("concurrency", CONCURRENCY))
        if self.options.get("rows"):
            more["ROWS"] = 1
        return [self.start(program, **more) for _ in range(self.options.get("processes", os.cpu_count()))]

    def start_http(self, port):
        return self.start("http", PORT=port)

    def produce(self, rate, seconds, warm):
        self.run("produce", RATE=rate, SECONDS=seconds, WARM=warm, PAYLOAD=settings.payload())

    def left(self):
        r = self.bed.redis
        return r.llen("bull:bench:wait") + r.llen("bull:bench:active")
