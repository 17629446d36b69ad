"""Load over HTTP that remembers what was acknowledged: the one side of every audit.

    load = Load(stack, jobs, connections=16)
    with load: ...break something...          # runs in a thread; leaving waits until every job was acknowledged
    load.acked                                # {id: tag}
    load.sends                                # {tag: how often it left and may have been taken}
    load.stop()                               # no new jobs; those under way are still brought to their end

A job's "expect" is not sent: it is the state in which the job has to end, where that is not succeeded.

Each job carries a tag of its own in its payload. A job that was refused, or whose connection broke, is sent again under
the same Idempotency-Key; where the API knows no such keys, one that was cut off in the middle may then have been taken twice, which is
why rows are known by their tag.
"""

import asyncio
import itertools
import json
import threading
import time

RETRY_S = 0.05
LIMIT_S = 120
ANSWER_S = 30
REFUSALS = (409, 429, 503)  # 409: an earlier send of the same key is still under way
UNSURE = b"may have been taken"  # what the API says where it does not know; all else that it refuses was not taken


def noops(n, **args):
    return ({"type": "noop", "args": args, "max_attempts": 50} for _ in range(n))


class Load:
    numbers = itertools.count()  # tags and keys of no two loads are the same

    def __init__(self, stack, jobs, connections=16, rate=None, port=None):
        self.port = port or int(stack.url.rsplit(":", 1)[1])
        self.jobs, self.connections, self.rate, self.name = iter(jobs), connections, rate, f"{next(self.numbers)}-"
        self.acked, self.acked_at, self.sends, self.due, self.expected = {}, {}, {}, {}, {}
        self.refused, self.cut, self.answers = 0, 0, {}
        self.next_tag, self.began, self.broken, self.stopped = 0, None, None, False
        self.thread = threading.Thread(target=self.run)

    @property
    def unknown(self):
        """How many sends had no certain outcome."""
        return sum(self.sends.values()) - len(self.acked)

    def stop(self):
        self.stopped = True

    # --- the thread

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *error):
        if any(error):
            self.stop()
        self.thread.join()
        if self.broken and not any(error):
            raise self.broken

    def run(self):
        try:
            asyncio.run(self.all())
        except BaseException as e:  # noqa: BLE001: raised again where the test is
            self.broken = e

    async def all(self):
        await asyncio.gather(*(self.client() for _ in range(self.connections)))

    # --- one connection

    def take(self):
        job = None if self.stopped else next(self.jobs, None)
        if job is None:
            return None, None
        tag = f"{self.name}{self.next_tag}"
        self.next_tag += 1
        job = dict(job)
        self.expected[tag] = job.pop("expect", "succeeded")
        self.due[tag] = time.time() + job.get("delay_ms", 0) / 1000
        if job["type"] == "noop":
            job = {**job, "args": {**job["args"], "payload": tag}}
        else:
            job = {**job, "then": [*job.get("then", []), {"type": "noop", "args": {"payload": tag}, "on": "always"}]}
        return tag, json.dumps(job).encode()

    async def client(self):
        link = None
        while True:
            tag, body = self.take()
            if tag is None:
                break
            if self.rate:
                await asyncio.sleep(self.connections / self.rate)
            link = await self.until_acked(link, tag, body)
        if link:
            link[1].close()

    def request(self, tag, body):
        return (f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: {tag}\r\n"
                f"content-length: {len(body)}\r\n\r\n").encode() + body

    async def ask(self, link, tag, body):
        """(link, status, answer); status 0: it was cut off."""
        try:
            link = link or await asyncio.open_connection("127.0.0.1", self.port)
            self.sends[tag] = self.sends.get(tag, 0) + 1
            link[1].write(self.request(tag, body))
            status, head, answer = await asyncio.wait_for(self.reply(link[0]), ANSWER_S)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            if link:
                link[1].close()
            return None, 0, b""
        if b"connection: close" in head.lower():
            link[1].close()
            link = None
        return link, status, answer

    async def until_acked(self, link, tag, body):
        end = time.monotonic() + LIMIT_S
        while True:
            assert time.monotonic() < end, f"job {tag} was not taken within {LIMIT_S} s; answers so far: {self.answers}"
            link, status, answer = await self.ask(link, tag, body)
            if status == 0:
                self.cut += 1
            else:
                self.answers[status] = self.answers.get(status, 0) + 1
            if status == 202:
                job_id = json.loads(answer)["id"]
                self.acked[job_id] = tag
                self.acked_at[job_id] = time.time()
                return link
            assert status in (0, *REFUSALS), (status, answer)
            if status in REFUSALS:
                self.refused += 1
                self.sends[tag] -= UNSURE not in answer
            await asyncio.sleep(RETRY_S)

    @staticmethod
    async def reply(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return status, head, await reader.readexactly(length)
