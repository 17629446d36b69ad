"""Load over HTTP that remembers what was acknowledged: the one side of every audit.

    load = Load(stack, jobs, connections=16)
    with load: ...break something...          # runs in a thread; leaving waits until every job was acknowledged
    load.acked                                # {id: tag}
    load.sent                                 # tags of all jobs that left, acknowledged or not

Each job carries a tag of its own in its payload. A job that was refused, or whose connection broke, is sent again; one
that was cut off in the middle may then have been taken twice, which is why rows are known by their tag.
"""

import asyncio
import json
import threading
import time

RETRY_S = 0.05
LIMIT_S = 120


def noops(n, **args):
    return ({"type": "noop", "args": args, "max_attempts": 50} for _ in range(n))


class Load:
    def __init__(self, stack, jobs, connections=16, rate=None):
        self.port = int(stack.url.rsplit(":", 1)[1])
        self.jobs, self.connections, self.rate = iter(jobs), connections, rate
        self.acked, self.sent, self.refused, self.cut, self.answers = {}, set(), 0, 0, {}
        self.next_tag, self.began, self.broken = 0, None, None
        self.thread = threading.Thread(target=self.run)

    # --- the thread

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *error):
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
        job = next(self.jobs, None)
        if job is None:
            return None, None
        tag = f"t{self.next_tag}"
        self.next_tag += 1
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

    async def until_acked(self, link, tag, body):
        end = time.monotonic() + LIMIT_S
        request = (f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        while True:
            assert time.monotonic() < end, f"job {tag} was not taken within {LIMIT_S} s; answers so far: {self.answers}"
            try:
                link = link or await asyncio.open_connection("127.0.0.1", self.port)
                self.sent.add(tag)
                link[1].write(request)
                status, head, answer = await asyncio.wait_for(self.reply(link[0]), 30)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                self.cut += 1
                if link:
                    link[1].close()
                link = None
                await asyncio.sleep(RETRY_S)
                continue
            self.answers[status] = self.answers.get(status, 0) + 1
            if b"connection: close" in head.lower():
                link[1].close()
                link = None
            if status == 202:
                self.acked[json.loads(answer)["id"]] = tag
                return link
            assert status == 503, (status, answer)
            self.refused += 1
            await asyncio.sleep(RETRY_S)

    @staticmethod
    async def reply(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return status, head, await reader.readexactly(length)
