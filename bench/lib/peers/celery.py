"""Celery, as Debian has it, with Redis as broker: a prefork pool of one process a core, or one solo worker a core."""

import os
import subprocess
from pathlib import Path

from lib import settings
from lib.peers import Peer, took_s
from stack import wait_until

HERE = Path(__file__).resolve().parent.parent.parent / "peers/celery"
PYTHON = "/usr/bin/python3"


class Celery(Peer):
    """Options: pool (prefork or solo), processes."""

    name, share = "Celery", 0.02

    def absent(self):
        there = subprocess.run([PYTHON, "-c", "import celery, redis"], capture_output=True, check=False).returncode == 0
        return None if there else "celery is not installed: scripts/deps bench"

    def env(self, **more):
        return {**self.bed.env(), "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", **{f"BENCH_{k}": str(v) for k, v in more.items()}}

    def run(self, **more):
        return self.bed.children.run("celery-produce", [PYTHON, str(HERE / "produce.py")], env=self.env(PAYLOAD=settings.payload(), **more))

    def fill(self, n):
        return took_s(self.run(N=n))

    def start_workers(self, **more):
        pool, count = self.options.get("pool", "solo"), self.options.get("processes", os.cpu_count())
        argv = [PYTHON, "-m", "celery", "-A", "tasks", "worker", "-P", pool, "-l", "INFO", "--without-gossip", "--without-mingle",
                "--without-heartbeat", "-O", "fair" if pool == "prefork" else "default"]
        each = [["-c", str(count)]] if pool == "prefork" else [["-c", "1", "-n", f"w{i}@bench"] for i in range(count)]
        ps = [self.bed.children.start("celery", [*argv, *x], env=self.env(**more), cwd=str(self.bed.dir)) for x in each]
        for p in ps:
            wait_until(lambda p=p: " ready." in p.log.read_text(errors="replace"), "celery", process=p.popen, log=p.log)
        return ps

    def produce(self, rate, seconds, warm):
        self.run(RATE=rate, SECONDS=seconds, WARM=warm)

    def left(self):
        r = self.bed.redis
        return r.llen("celery") + r.hlen("unacked")
