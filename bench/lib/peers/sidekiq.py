"""Sidekiq, as Debian has it: one process a core (a Ruby process runs one thread at a time), 25 threads in each."""

import os
import shutil
from pathlib import Path

from lib import settings
from lib.peers import Peer, took_s
from stack import wait_until

HERE = Path(__file__).resolve().parent.parent.parent / "peers/sidekiq"


class Sidekiq(Peer):
    """Options: threads, processes."""

    name, share = "Sidekiq", 0.1

    def absent(self):
        return None if shutil.which("sidekiq") else "sidekiq is not installed: scripts/deps bench"

    def env(self, **more):
        return {**self.bed.env(), "RAILS_ENV": "production", "MALLOC_ARENA_MAX": "2", **{f"BENCH_{k}": str(v) for k, v in more.items()}}

    def run(self, **more):
        return self.bed.children.run("sidekiq-produce", ["ruby", str(HERE / "produce.rb")], env=self.env(PAYLOAD=settings.payload(), **more))

    def fill(self, n):
        return took_s(self.run(N=n))

    def start_workers(self, **more):
        argv = ["sidekiq", "-r", str(HERE / "job.rb"), "-c", str(self.options.get("threads", 25)), "-q", "default", "-t", "5"]
        ps = [self.bed.children.start("sidekiq", argv, env=self.env(**more), cwd=str(self.bed.dir))
              for _ in range(self.options.get("processes", os.cpu_count()))]
        wait_until(lambda: self.bed.redis.scard("processes") >= len(ps), "sidekiq", process=ps[0].popen, log=ps[0].log)
        return ps

    def produce(self, rate, seconds, warm):
        self.run(RATE=rate, SECONDS=seconds, WARM=warm)

    def left(self):
        """Sidekiq takes a job off the list before it runs: the last few in flight are counted as done, in its favour."""
        return self.bed.redis.llen("queue:default")
