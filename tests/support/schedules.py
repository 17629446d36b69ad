"""What tests do with schedules, over HTTP."""

import datetime as dt
import json

import msgpack

NOOP = {"type": "noop", "args": {}}


class Schedules:
    def __init__(self, stack):
        self.stack, self.client = stack, stack.client

    def ask(self, method, name="", body=None):
        head = {"content-type": "application/json"} if body is not None else {}
        path = "/v1/schedules" + (f"/{name}" if name else "")
        status, head, data = self.stack.request(method, path, None if body is None else json.dumps(body).encode(), head)
        return status, json.loads(data) if data else None

    def put(self, name, **body):
        status, answer = self.ask("PUT", name, {"job": NOOP, **body})
        assert status in (200, 201), (status, answer)
        return answer

    def get(self, name):
        status, answer = self.ask("GET", name)
        assert status == 200, (status, answer)
        return answer

    def refused(self, name, body):
        """Status, pointer or None, detail."""
        status, answer = self.ask("PUT", name, body)
        errors = answer.get("errors") or [{}]
        return status, errors[0].get("pointer"), answer.get("detail", "")

    def until(self, name, check, what="a change of the schedule"):
        def look():
            answer = self.get(name)
            return answer if check(answer) else None
        return self.client.until(look, what)

    def miss(self, name, queue="default", **ago):
        """As if nobody had looked for so long: the tick that waits is set back. The schedule must be an every_ms."""
        every, at = self.get(name)["every_ms"], ms(self.get(name)["next_at"])
        steps = int(dt.timedelta(**ago).total_seconds() * 1000) // every
        due = at - steps * every
        assert self.client.redis.zadd(f"mr:{{{queue}}}:ticks", {name: due}, xx=True, ch=True) == 1
        return due

    def jobs(self, payload):
        """How many rows there are of jobs with that payload."""
        return self.client.rows("select count(*) from jobs where position(%s in item) > 0", msgpack.packb(payload))[0][0]


def ms(text):
    return round(dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
