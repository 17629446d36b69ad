"""What the queue's keys say, taken apart."""

import struct
from typing import NamedTuple

import msgpack

from model.scripts import NOW

QUEUED, SCHEDULED, RUNNING, RETRYING, CANCELLED = 1, 2, 3, 4, 7
SHUT = 2.0 ** 53  # the time of a gate that only a freed slot opens
PREFIX = b"mr:{q}:"
PRIORITIES = (b"critical", b"high", b"normal", b"low")
QUEUE_KEYS = [PREFIX + k for k in (b"state", b"meta", b"wake", b"delayed", b"consumers", b"workers")]
QUEUE_KEYS += [PREFIX + b"ready:" + p for p in PRIORITIES]
ACTIVE = PREFIX + b"active:"
CANCELS, UNIQUE, SLOTS, PARKED = (PREFIX + kind for kind in (b"cancels:", b"unique:", b"slots:", b"parked:"))
CONTROL, EVENTS, WATCH = (PREFIX + kind for kind in (b"control", b"events", b"watch"))
CLAIMED = 0x93  # how the detail of a job begins that somebody has claimed
OWN = b"\xa1v\x01\xa2id\xc4\x10"  # after the head of the map


def item_of(job_id, number, key=b""):
    """Its last byte tells it from the items of other jobs, whatever id it has."""
    limited = b"\xa3key" + bytes([0xA0 + len(key)]) + key if key else b""
    return (b"\x85" if key else b"\x84") + OWN + job_id + b"\xa4type\xa4noop" + limited + b"\xa4args\x81\xa1n" + bytes([number])


def key_of(item):
    """What limits per key go by."""
    at = item.find(b"\xa3key")
    return item[at + 5:at + 5 + item[at + 4] - 0xA0] if at >= 0 else b""


class Entry(NamedTuple):
    """A state value (docs/protocol.md, State values)."""

    state: int
    attempt: int
    excused: int
    priority: int
    consumer: bytes  # of a job that is claimed

    def is_held(self, consumer, attempt):
        return self.consumer == consumer != b"" and self.attempt == attempt


def entry_of(raw):
    end = 22 + raw[21]
    consumer = raw[end + 3:end + 3 + raw[end + 2]] if raw[end] == CLAIMED else b""
    assert raw[0] == 0x97 and raw[end - raw[21] - 2] == 0xD9
    return Entry(raw[1], *struct.unpack(">I", raw[12:16]), *struct.unpack(">H", raw[17:19]), raw[19], consumer)


def pairs(content):
    return dict(zip(content[::2], content[1::2]))


class View:
    """One state of the keys. places: job id -> list of where it is: (kind, which list or whose hash, attempt time)."""

    def __init__(self, blob):
        self.keys = {key: content for key, kind, content in msgpack.unpackb(blob, raw=True)}
        self.values = pairs(self.of("state"))
        self.entries = {i: entry_of(raw) for i, raw in self.values.items()}
        self.beats = {name: float(at) for at, name in zip(self.of("consumers")[::2], self.of("consumers")[1::2])}
        self.tokens = len(self.of("wake"))
        self.paused = pairs(self.of("meta")).get(b"paused") == b"1"
        self.dues = [float(at) for at in self.of("delayed")[::2]]
        self.places, self.items = {}, {}
        self.ready = False
        for key, content in self.keys.items():
            self.take_places(key, content)
        self.take_limits()
        self.cancels = {key[len(CANCELS):]: set(ids) for key, ids in self.keys.items() if key.startswith(CANCELS)}
        self.uniques = {key[len(UNIQUE):]: content[0] for key, content in self.keys.items() if key.startswith(UNIQUE)}
        self.holds = pairs(self.of("holds"))
        self.names = set(self.beats) | {key[len(ACTIVE):] for key in self.keys if key.startswith(ACTIVE)}

    def of(self, name):
        return self.keys.get(PREFIX + name.encode(), [])

    def put(self, item, *place):
        job_id = item[1 + len(OWN):17 + len(OWN)]
        self.places.setdefault(job_id, []).append(place)
        self.items[job_id] = item

    def take_limits(self):
        """Gates, slots, what is parked; and whether a claim would find something, as far as one can tell from outside."""
        self.limits = pairs(self.of("meta")).get(b"limits", b"")
        self.gates = {key: float(at) for at, key in zip(self.of("gates")[::2], self.of("gates")[1::2])}
        self.slots = pairs(self.of("slots"))
        self.slot_sets = {key[len(SLOTS):]: set(ids) for key, ids in self.keys.items() if key.startswith(SLOTS)}
        self.parked_said = {digit: int(n) for digit, n in pairs(self.of("parked")).items()}
        self.parked = {}  # key -> by digit how many
        for key, content in self.keys.items():
            if key.startswith(PARKED):
                digit, name = key[len(PARKED):].split(b":", 1)
                self.parked.setdefault(name, {})[digit] = len(content)
        own_open = self.gates.get(b"", 0) <= NOW
        self.open_gates = {key for key, at in self.gates.items() if key in self.parked and at <= NOW}
        self.claimable = own_open and self.ready
        self.passable = own_open and bool(self.open_gates)

    def take_places(self, key, content):
        if key.startswith(PREFIX + b"ready:"):
            self.ready = True
            for item in content:
                self.put(item, "ready", key)
        elif key.startswith(PARKED):
            for item in content:
                self.put(item, "parked", key[len(PARKED):].split(b":", 1)[1])
        elif key.startswith(ACTIVE):
            for stored in content[1::2]:
                self.put(stored[1:], "active", key[len(ACTIVE):])
        elif key == PREFIX + b"delayed":
            for stored in content[1::2]:
                self.put(stored[1:], "delayed", b"")
