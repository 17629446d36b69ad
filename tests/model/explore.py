"""explore [--depth N] [--only NAME]: every interleaving of moves in the small worlds, over the real scripts.

Breadth first, so the first counterexample is a shortest one. States that are equal are explored once. The exit status
is 1 if something does not hold; then the moves that led there are printed.
"""

import argparse
import gc
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from model import check  # noqa: E402
from model.scripts import Machine  # noqa: E402
from model.view import QUEUE_KEYS, ACTIVE, View  # noqa: E402
from model.world import ID, NUMBER, Situation, first_state, first_world, probes, repeats, steps  # noqa: E402

CHUNK = 64  # states that go to Redis at once
DRAIN = ("drain", ["!drain", QUEUE_KEYS, [ACTIVE]])


class Counterexample(Exception):
    def __init__(self, trace, text):
        self.trace, self.text = trace, text
        moves = "\n".join(f"  {n}. {label}" for n, label in enumerate(trace, 1))
        super().__init__(f"{text}, after\n{moves}")


class Known:
    """A state of the keys: what it says, and what came of the calls that were made in it."""

    def __init__(self, blob):
        self.blob, self.seen, self.checked = blob, View(blob), False
        self.results, self.judged = {}, {}  # of each call: (reply, Known after it); what is wrong with it


class Explorer:
    def __init__(self, machine, size):
        self.machine, self.size = machine, size
        self.known = {}  # state of the keys -> Known
        self.nodes = []  # of each state: its first predecessor, and the move from there
        self.found = {}  # (state of the keys, world) -> number of the node
        self.steps = self.calls = self.depth = 0

    def know(self, blob):
        if blob not in self.known:
            self.known[blob] = Known(blob)
        return self.known[blob]

    def trace(self, node, *more):
        labels = []
        while node is not None:
            node, label = self.nodes[node]
            labels.append(label)
        return [*reversed(labels[:-1]), *more]

    def add(self, known, world, parent, label):
        """Gives the node if it is a new one."""
        key = (known.blob, world)
        if key in self.found:
            return None
        self.found[key] = len(self.nodes)
        self.nodes.append((parent, label))
        text = check.of_state(self.size, world, known.seen)
        if text:
            raise Counterexample(self.trace(self.found[key]), text)
        return known, world, self.found[key]

    # --- asking Redis ------------------------------------------------------------------------

    def questions(self, known, situation, todo):
        """The calls whose results are not known yet: [(label or Call, packed)]."""
        wanted = {step.call: step.call.packed() for step in todo if step.call and step.call not in known.results}
        wanted.update((call, call.packed()) for _, call in repeats(situation) if call not in known.results)
        if not known.checked:
            known.checked = True
            wanted[DRAIN[0]] = DRAIN[1]
            wanted.update((call, call.packed()) for _, call in probes(self.size, known.seen))
        return wanted

    def plan(self, chunk):
        plan = []
        for known, world, node in chunk:
            situation = Situation(self.size, world, known.seen)
            todo = list(steps(situation))
            plan.append((known, situation, node, todo, self.questions(known, situation, todo)))
        return plan

    def ask(self, plan):
        work = [(known.blob, list(wanted.values())) for known, _, _, _, wanted in plan if wanted]
        return self.machine.run(work) if work else []

    def take(self, plan, answers):
        answers = iter(answers)
        for known, _, _, _, wanted in plan:
            if wanted:
                for call, (reply, blob) in zip(wanted, next(answers)):
                    known.results[call] = (reply, self.know(blob))
                self.calls += len(wanted)

    # --- going on ----------------------------------------------------------------------------

    def look(self, known, situation, node):
        """Draining from here, and the calls that must change nothing."""
        if DRAIN[0] in known.results:
            ended, after = known.results.pop(DRAIN[0])
            text = check.drained(known.seen, ended, after.seen)
            if text:
                raise Counterexample(self.trace(node, "everybody dies, one consumer drains the queue"), text)
            for label, call in probes(self.size, known.seen):
                self.must_keep(known, node, label, call)
        for label, call in repeats(situation):
            self.must_keep(known, node, label, call)

    def must_keep(self, known, node, label, call):
        reply, after = known.results[call]
        if after is not known or isinstance(reply, dict):
            raise Counterexample(self.trace(node, label), f"what had no right to changed something; the reply: {reply}")

    def settled_world(self, world, step, reply, seen):
        """What the script's effect means for the jobs."""
        if step.kind == "settle done" and reply == []:
            jobs = list(world.jobs)
            jobs[NUMBER[step.call.args[2]]] = "ended"
            world = world._replace(jobs=tuple(jobs))
        attempts = tuple(max(high, seen.entries[ID[j]].attempt) if ID[j] in seen.entries else high
                         for j, high in enumerate(world.attempts))
        return world if attempts == world.attempts else world._replace(attempts=attempts)

    def go(self, known, situation, node, step):
        if step.call is None:
            return self.add(known, step.after(None), node, step.label)
        reply, after = known.results[step.call]
        if step.call not in known.judged:
            known.judged[step.call] = check.of_call(known.seen, step, reply, after.seen)
        text = known.judged[step.call] or check.of_step(situation.world, known.seen, step, reply, after.seen)
        if text:
            raise Counterexample(self.trace(node, step.label), text)
        world = self.settled_world(step.after(reply), step, reply, after.seen)
        return self.add(after, world, node, step.label)

    def expand(self, plan):
        new = []
        for known, situation, node, todo, _ in plan:
            self.look(known, situation, node)
            for step in todo:
                self.steps += 1
                one = self.go(known, situation, node, step)
                if one:
                    new.append(one)
        return new

    def run(self):
        level = [self.add(self.know(first_state(self.size)), first_world(self.size), None, "")]
        with ThreadPoolExecutor(1) as asking:
            while level:
                self.depth += 1
                level = self.run_level(level, asking)

    def run_level(self, level, asking):
        """Redis works on one chunk while the one before is looked at."""
        new, before = [], None
        for at in range(0, len(level), CHUNK):
            plan = self.plan(level[at:at + CHUNK])
            answers = asking.submit(self.ask, plan)
            if before:
                new += self.finish(*before)
            before = plan, answers
        return new + self.finish(*before)

    def finish(self, plan, answers):
        self.take(plan, answers.result())
        return self.expand(plan)


def explore(machine, size):
    explorer = Explorer(machine, size)
    gc.disable()  # it holds much, and nothing of it in circles
    try:
        explorer.run()
    finally:
        gc.enable()
    return explorer


def main():
    from model.worlds import private_redis, worlds
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=1, help="how many faults; 1 is what make test does")
    parser.add_argument("--only", help="one of the worlds")
    opt = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the Redis is stopped then, too
    status = 0
    with private_redis() as socket:
        for name, size in worlds(opt.depth).items():
            if opt.only not in (None, name):
                continue
            began = time.monotonic()
            try:
                e = explore(Machine(socket), size)
            except Counterexample as bad:
                print(f"{name}: {bad}")
                status = 1
                continue
            print(f"{name}: {len(e.nodes)} states, {e.steps} steps, {len(e.known)} states of the keys, {e.calls} calls, "
                  f"longest way {e.depth - 1}, {time.monotonic() - began:.1f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
