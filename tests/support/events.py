"""A client of a job's events: server-sent events over a socket of its own."""

import json

from support.raw import Raw, request


class Event:
    def __init__(self, fields):
        self.id, self.event = fields.get("id"), fields.get("event")
        self.data = json.loads(fields["data"])

    def __repr__(self):
        return f"<{self.id} {self.event} {self.data}>"


class Events(Raw):
    """Reads one event after the other. comments counts heartbeats."""

    def __init__(self, stack, job_id, last=None, **kw):
        super().__init__(stack, **kw)
        headers = [] if last is None else [f"Last-Event-ID: {last}"]
        self.comments = 0
        self.send(request("GET", f"/v1/jobs/{job_id}/events", headers=headers))
        while b"\r\n\r\n" not in self.rest:
            assert self.more(), "closed before an answer came"
        top, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = top.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}

    def next(self):
        """The next event; None: the stream has ended."""
        while True:
            while b"\n\n" not in self.rest:
                if not self.more():
                    assert self.rest == b"", f"cut in the middle of {self.rest!r}"
                    return None
            block, self.rest = self.rest.split(b"\n\n", 1)
            if block.startswith(b":"):
                self.comments += 1
                continue
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            return Event(fields)

    def until(self, event, **data):
        """The next event of that kind with these data; others are skipped."""
        while True:
            got = self.next()
            assert got is not None, f"ended before {event} {data}"
            if got.event == event and all(got.data.get(k) == v for k, v in data.items()):
                return got

    def all(self):
        """All that is left."""
        found = []
        while (got := self.next()) is not None:
            found.append(got)
        return found
