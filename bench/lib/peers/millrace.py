"""Millrace: one API process, one worker, everything else as shipped."""

import time

from lib import httpload, settings
from lib.peers import Peer
from stack import wait_until


class Millrace(Peer):
    """Options: slots; without them as shipped."""

    @property
    def name(self):
        return f"Millrace, {self.options['slots']} slots" if "slots" in self.options else "Millrace"

    def start_api(self):
        s = self.bed.stack
        s.start_api()
        wait_until(lambda: s.get("/readyz")[0] == 200, "millrace-api ready", process=s.api.popen, log=s.api.log)
        return s.api

    def fill(self, n):
        """One by one, over HTTP pipelining: the queue holds what POST /v1/jobs leaves there."""
        if self.bed.stack.api is None:
            self.start_api()
        began = time.monotonic()
        httpload.pipelined(self.bed.stack.url, settings.body(), n)
        return time.monotonic() - began

    def meet(self):
        """A worker that meets a Redis for the first time has its AOF rewritten; a Redis is new once in its life, not in each run."""
        w = self.bed.stack.start_worker()
        self.bed.stack.workers.pop("1")
        w.stop()

    def start_workers(self, **more):
        if "slots" in self.options:
            more["SLOTS"] = self.options["slots"]
        return [self.bed.stack.start_worker(**more)]

    def left(self):
        return self.bed.redis.hlen("mr:{default}:state")
