"""Random faults under a mixed load, and the audit at the end.

    plan = steps(seed)                        # endless, and always the same for a seed
    chaos = Chaos(stack, relays, clock, receiver)
    chaos.run(plan, seconds)                  # raises what the audit finds

A step is one to three faults that overlap, each at a part of the system of its own; they heal in any order. Between steps
everything runs: processes that died of anything but a fault are noticed there.
"""

import collections
import os
import random
import signal
import time

from support.audit import Base, audit, children, terminal_rows
from support.faults import everything, freeze, kill_postgres, thaw, warm
from support.load import Load
from support.pictures import plain_png

SCRIPTS = (b"enqueue", b"claim", b"settle", b"beat", b"register", b"reconcile", b"reap", b"blpop")
RATE = 60
LINE_S = 5


# --- faults: each gives what heals it

def kill_worker(world, name, _):
    world.workers_down.add(name)
    world.stack.workers[name].stop(signal.SIGKILL)
    return lambda: world.start_worker(name)


def drain_worker(world, name, _):
    world.workers_down.add(name)
    worker = world.stack.workers[name]
    worker.ask()

    def heal():
        code = worker.wait()
        assert code == 0, f"worker {name} ended with {code}"
        world.start_worker(name)
    return heal


def freeze_worker(world, name, _):
    worker = world.stack.workers[name]
    worker.send(signal.SIGSTOP)
    return lambda: worker.send(signal.SIGCONT)


def kill_renderer(world, name, rng):
    for kid in children(world.stack.workers[name].pid):
        if rng.random() < 0.7:
            os.kill(kid, signal.SIGKILL)
    return lambda: None


def kill_the_api(world, _, __):
    world.api_down = True
    world.stack.api.stop(signal.SIGKILL)

    def heal():
        world.start_api()
        world.api_down = False
    return heal


def kill_redis(world, _, __):
    world.stack.redis.kill()
    return world.stack.redis.start


def freeze_redis(world, _, __):
    process = world.stack.redis.process
    freeze(process)
    return lambda: thaw(process)


def fill_redis(world, _, __):
    client = world.stack.client.redis
    client.config_set("maxmemory", 1)
    return lambda: client.config_set("maxmemory", 0)


def shift_redis(world, _, rng):
    world.clock.jump(rng.choice((-15, -3, 3, 15)))
    return lambda: world.clock.jump(0)


def kill_pg(world, _, __):
    kill_postgres(world.stack)
    return world.stack.pg.start


def freeze_pg(world, _, __):
    process = world.stack.pg.process
    freeze(process)
    return lambda: thaw(process)


def slow(proxy, rng):
    proxy.delay(rng.choice((0.005, 0.02, 0.2)))


def torn(proxy, rng):
    proxy.slice(rng.choice((1, 7, 100)))


def thin(proxy, rng):
    proxy.rate(rng.choice((20_000, 200_000)))


def hole(proxy, rng):
    proxy.hold(rng.choice(("up", "down", "both")))


def cut_now(proxy, _):
    proxy.cut()


def cut_later(proxy, rng):
    proxy.cut(after=rng.randrange(5000), way=rng.choice(("up", "down")))


def refused(proxy, _):
    proxy.refuse()
    proxy.cut()


def reply_lost(proxy, rng):
    wanted = rng.choice(SCRIPTS) if proxy.resp else b""
    proxy.drop_reply(wanted, times=rng.choice((1, 1, 3)))


def on_link(act):
    def inject(world, name, rng):
        proxy = getattr(world.relays, name)
        act(proxy, rng)
        return proxy.heal
    inject.__name__ = act.__name__
    return inject


WORKERS, LINKS = ("1", "2"), ("api_redis", "redis", "redis2", "pg", "http")
FAULTS = [  # what, and the parts of the system at one of which it strikes
    *[(f, tuple(f"worker {n}" for n in WORKERS)) for f in (kill_worker, kill_worker, drain_worker, freeze_worker, freeze_worker, kill_renderer)],
    (kill_the_api, ("api",)),
    *[(f, ("redis",)) for f in (kill_redis, kill_redis, freeze_redis, fill_redis, shift_redis)],
    *[(f, ("pg",)) for f in (kill_pg, freeze_pg)],
    *[(on_link(f), tuple(f"link {n}" for n in LINKS))
      for f in (slow, torn, thin, hole, hole, cut_now, cut_later, refused, reply_lost, reply_lost)],
]

Strike = collections.namedtuple("Strike", "fault part seed")
Step = collections.namedtuple("Step", "strikes apart held order rest")


def steps(seed):
    rng = random.Random(seed)
    while True:
        strikes, parts = [], set()
        for _ in range(rng.choice((1, 1, 2, 3))):
            fault, places = rng.choice(FAULTS)
            part = rng.choice(places)
            if part not in parts:
                parts.add(part)
                strikes.append(Strike(fault, part, rng.random()))
        order = list(range(len(strikes)))
        rng.shuffle(order)
        yield Step(strikes, rng.uniform(0, 0.4), rng.choice((0.05, 0.3, 0.8, 1.5, 2.5)), order, rng.uniform(0.1, 1.0))


def told(step):
    return " + ".join(f"{s.fault.__name__}({s.part})" for s in step.strikes)


class Chaos:
    CONFIG = {"DRAIN": "500ms", "REDIS_TIMEOUT": "1s"}

    def __init__(self, stack, relays, clock, receiver, say=print):
        self.stack, self.relays, self.clock, self.receiver, self.say = stack, relays, clock, receiver, say
        self.workers_down, self.api_down = set(), False
        self.faults, self.earlier, self.pg_struck = collections.Counter(), {}, False

    # --- the stack

    def start(self):
        """Redis on a clock of its own, and a second worker on a relay of its own."""
        self.stack.redis.environment = self.clock.environment()
        self.relays.start(self.stack)
        self.relays.add("redis2", self.stack)
        self.start_worker("2")
        self.stack.client.until(lambda: self.stack.client.events("worker-2", "consumer.ready"), "the second worker")

    def start_worker(self, name):
        more = {} if name == "1" else {"REDIS_URL": f"redis://127.0.0.1:{self.relays.redis2.port}"}
        self.stack.start_worker(name, wait=False, **more)
        self.workers_down.discard(name)

    def start_api(self):
        self.stack.start_api(REDIS_URL=f"redis://127.0.0.1:{self.relays.api_redis.port}")

    # --- the run

    def strike(self, step):
        heals = []
        for s in step.strikes:
            heals.append(s.fault(self, s.part.split(" ")[-1], random.Random(s.seed)))
            self.faults[s.fault.__name__] += 1
            self.pg_struck |= "pg" in s.part
            time.sleep(step.apart)
        time.sleep(step.held)
        for i in step.order:
            heals[i]()

    def look(self):
        """Between two steps: everything that should be alive is, and what has ended stays as it was."""
        for name, w in self.stack.workers.items():
            assert w.alive(), f"worker {name} ended by itself with {w.popen.returncode}"
        assert self.stack.api.alive(), f"the API ended by itself with {self.stack.api.popen.returncode}"
        for i, row in terminal_rows(self.stack.client).items():
            assert self.earlier.setdefault(i, row) == row, f"I2: {i} was {self.earlier[i]} and is {row}"

    def line(self, began, load, doing):
        self.say(f"{time.monotonic() - began:6.0f} s  {len(load.acked):6} acknowledged  {len(self.earlier):6} ended  {load.unknown:5} unknown"
                 f"  {sum(self.faults.values()):4} faults  {doing}")

    def run(self, plan, seconds):
        self.start()
        stack, client = self.stack, self.stack.client
        upload = client.upload(plain_png(320, 240))
        known = warm(stack, upload)
        client.quiet()
        base = Base(stack)
        load = Load(stack, everything(upload, self.receiver.url()), connections=12, rate=RATE, port=self.relays.http.port)
        began = lined = time.monotonic()
        with load:
            try:
                while time.monotonic() - began < seconds and load.thread.is_alive():
                    step = next(plan)
                    self.strike(step)
                    self.look()
                    if time.monotonic() - lined > LINE_S:
                        lined = time.monotonic()
                        self.line(began, load, told(step))
                    time.sleep(step.rest)
            finally:
                self.relays.heal()
                load.stop()
        crashes = sum(self.faults.values())
        try:
            return audit(stack, load, base, crashes=crashes, known=known, timeout_s=180, earlier=self.earlier, receiver=self.receiver,
                         in_flight=self.pg_struck, say=self.say)
        finally:
            self.say("faults: " + ", ".join(f"{n} {f}" for f, n in sorted(self.faults.items())))
