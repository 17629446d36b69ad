"""What the queue's keys say, taken apart."""

import struct
from typing import NamedTuple

import msgpack

QUEUED, SCHEDULED, RUNNING, RETRYING = 1, 2, 3, 4
PREFIX = b"mr:{q}:"
PRIORITIES = (b"critical", b"high", b"normal", b"low")
QUEUE_KEYS = [PREFIX + k for k in (b"state", b"meta", b"wake", b"delayed", b"consumers", b"workers")]
QUEUE_KEYS += [PREFIX + b"ready:" + p for p in PRIORITIES]
ACTIVE = PREFIX + b"active:"
OWN = b"\x84\xa1v\x01\xa2id\xc4\x10"


def item_of(job_id, key=b""):
    """As our own encoding has it. key: what limits go by; one more pair, so one more in the map's first byte."""
    item = OWN + job_id + b"\xa4type\xa4noop\xa4args\x80"
    return b"\x85" + item[1:] + b"\xa3key" + bytes([0xA0 + len(key)]) + key if key else item


class Entry(NamedTuple):
    """A state value (docs/protocol.md, State values)."""

    state: int
    attempt: int
    excused: int
    priority: int
    consumer: bytes  # of a running job


def entry_of(raw):
    end = 22 + raw[21]
    consumer = raw[end + 3:end + 3 + raw[end + 2]] if raw[1] == RUNNING else b""
    assert raw[0] == 0x97 and raw[end - raw[21] - 2] == 0xD9
    return Entry(raw[1], *struct.unpack(">I", raw[12:16]), *struct.unpack(">H", raw[17:19]), raw[19], consumer)


def pairs(content):
    return dict(zip(content[::2], content[1::2]))


class View:
    """One state of the keys. places: job id -> list of where it is: (kind, which list or whose hash, attempt time)."""

    def __init__(self, blob):
        self.keys = {key: content for key, kind, content in msgpack.unpackb(blob, raw=True)}
        self.entries = {i: entry_of(raw) for i, raw in pairs(self.of("state")).items()}
        self.beats = {name: float(at) for at, name in zip(self.of("consumers")[::2], self.of("consumers")[1::2])}
        self.tokens = len(self.of("wake"))
        self.paused = pairs(self.of("meta")).get(b"paused") == b"1"
        self.dues = [float(at) for at in self.of("delayed")[::2]]
        self.slots = pairs(self.of("slots"))  # job id -> key
        self.held = {key[len(PREFIX) + 6:]: set(content) for key, content in self.keys.items() if key.startswith(PREFIX + b"slots:")}
        self.gates = {key: float(at) for at, key in zip(self.of("gates")[::2], self.of("gates")[1::2])}
        self.parked = {}  # key -> how many
        self.places = {}
        self.ready = False
        for key, content in self.keys.items():
            self.take_places(key, content)
        self.names = set(self.beats) | {key[len(ACTIVE):] for key in self.keys if key.startswith(ACTIVE)}

    def of(self, name):
        return self.keys.get(PREFIX + name.encode(), [])

    def put(self, item, *place):
        self.places.setdefault(item[len(OWN):len(OWN) + 16], []).append(place)

    def take_places(self, key, content):
        if key.startswith(PREFIX + b"ready:"):
            self.ready = True
            for item in content:
                self.put(item, "ready", key)
        elif key.startswith(PREFIX + b"parked:"):
            key_of_jobs = key.split(b":", 4)[4]
            self.parked[key_of_jobs] = self.parked.get(key_of_jobs, 0) + len(content)
            for item in content:
                self.put(item, "parked", key_of_jobs)
        elif key.startswith(ACTIVE):
            for stored in content[1::2]:
                self.put(stored[1:], "active", key[len(ACTIVE):])
        elif key == PREFIX + b"delayed":
            for stored in content[1::2]:
                self.put(stored[1:], "delayed", b"")
