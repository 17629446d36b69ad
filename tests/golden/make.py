#!/usr/bin/python3
"""Writes the golden vectors of the job envelope with Python's msgpack, so that they owe nothing to our own encoder.

Run it only to add vectors: what is there stays as it is, old encodings must be read for ever.

jobs.json       {name, job, hex}    encoding job gives exactly hex, and decoding hex gives job
foreign.json    {name, job, hex}    decoding hex gives job; our own encoder would have written it in another way
malformed.json  {name, hex, error}  decoding hex fails, and the text begins with error

In job, id, parent and batch are UUIDs as text; fields that are not there are not in the envelope either.
"""
import json
import os
import struct
import uuid

import msgpack

HERE = os.path.dirname(os.path.abspath(__file__))
ID = "019a0b5c-7d3e-7abc-8def-0123456789ab"
PARENT = "019a0b5c-7000-7000-8000-00000000002a"
BATCH = "019a0b5c-7100-7000-8000-00000000002b"
ORDER = ["v", "id", "type", "args", "max_attempts", "timeout_ms", "then", "parent", "retry", "expires_ms", "key", "unique", "batch",
         "chain"]


def envelope(job):
    out = {"v": 1}
    for key in ORDER[1:]:
        if key in job:
            out[key] = uuid.UUID(job[key]).bytes if key in ("id", "parent", "batch") else job[key]
    return out


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def with_(**change):
    out = envelope({"id": ID, "type": "noop", "args": {}})
    out.update(change)
    return out


def without(key):
    out = envelope({"id": ID, "type": "noop", "args": {}})
    del out[key]
    return out


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


JOBS = [
    ("smallest", {"id": ID, "type": "noop", "args": {}}),
    ("every field", {
        "id": ID, "type": "image", "max_attempts": 5, "timeout_ms": 30000, "parent": PARENT,
        "args": {"source": {"upload": PARENT},
                 "outputs": [{"name": "card", "format": "webp", "quality": 80,
                              "ops": [{"resize": {"width": 640, "height": 480, "fit": "cover", "gravity": "attention"}},
                                      {"sharpen": {}}]},
                             {"name": "thumb", "ops": [{"resize": {"width": 160}}], "format": "jpeg"}]},
        "then": [{"type": "webhook", "args": {"url": "https://example.com/hook"}}]}),
    ("every later field", {
        "id": ID, "type": "noop", "args": {}, "retry": {"policy": "list", "delays_ms": [0, 1000]}, "expires_ms": 1896076800250,
        "key": "tenant 7", "unique": "Grüße", "batch": BATCH,
        "chain": [{"type": "noop", "args": {"work_ms": 1}}, {"type": "webhook", "args": {"url": "https://example.com/"}}]}),
    ("limits of the later fields", {"id": ID, "type": "noop", "args": {}, "retry": {}, "expires_ms": 253402300799999, "key": "k" * 128,
                                    "unique": "u" * 128, "chain": [{}] * 16}),
    ("limits", {"id": "ffffffff-ffff-ffff-ffff-ffffffffffff", "type": "a" * 64, "args": {}, "max_attempts": 100,
                "timeout_ms": 86400000}),
    ("nil id, no follow-ups", {"id": "00000000-0000-0000-0000-000000000000", "type": "x.y_z-1", "args": {}, "then": []}),
    ("every kind of value", {"id": ID, "type": "noop", "args": {"payload": [
        None, True, False, 0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991, -1, -32, -33,
        -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991, 0.5, -1e300, "", "a" * 31, "b" * 32,
        "Grüße, 世界 🎉", {}, [], {"k": [1, [2, [3]]]}]}}),
    ("long string and array", {"id": ID, "type": "noop", "args": {"payload": ["x" * 300, list(range(20))]}}),
    ("map of sixteen", {"id": ID, "type": "noop", "args": {"payload": {"k%02d" % i: i for i in range(16)}}}),
]

SMALL = JOBS[0][1]
FOREIGN = [
    ("other order", {"id": ID, "type": "noop", "args": {"work_ms": 5}, "max_attempts": 2},
     pack({"args": {"work_ms": 5}, "max_attempts": 2, "type": "noop", "id": uuid.UUID(ID).bytes, "v": 1})),
    ("wide integers", {**SMALL, "max_attempts": 7, "timeout_ms": 1000},
     b"\x86\xa1v\xd3" + struct.pack(">q", 1) + pack("id") + pack(uuid.UUID(ID).bytes) + pack("type") + pack("noop") +
     pack("args") + b"\x80" + pack("max_attempts") + b"\xcf" + struct.pack(">Q", 7) + pack("timeout_ms") + b"\xd2" +
     struct.pack(">i", 1000)),
    ("wide strings, binary and maps", {**SMALL, "then": []},
     b"\xdf\0\0\0\5" + b"\xd9\1v" + b"\1" + b"\xda\0\2id" + b"\xc6\0\0\0\x10" + uuid.UUID(ID).bytes + b"\xdb\0\0\0\4type" +
     b"\xd9\4noop" + pack("args") + b"\xde\0\0" + pack("then") + b"\xdd\0\0\0\0"),
]

MALFORMED = [
    ("nothing", b"", "item"),
    ("not a map", pack([1, 2, 3]), "item"),
    ("cut short", pack(with_())[:-1], "item"),
    ("bytes after the end", pack(with_()) + b"\xc0", "item"),
    ("a count that lies", b"\xdf\x0f\xff\xff\xff", "item"),
    ("too deep", pack(with_(args=nested(16))), "item"),
    ("a key twice", b"\x85" + pack(with_())[1:] + pack("v") + b"\1", "item"),
    ("text that is not UTF-8", pack(with_(type=b"no\xffop")).replace(b"\xc4\x05no\xffop", b"\xa5no\xffop"), "item"),
    ("extension type", pack(with_(args={"payload": msgpack.ExtType(1, b"x")})), "item"),
    ("no version", pack(without("v")), "v is missing"),
    ("no id", pack(without("id")), "id is missing"),
    ("no type", pack(without("type")), "type is missing"),
    ("no args", pack(without("args")), "args is missing"),
    ("version 2", pack(with_(v=2)), "v must be"),
    ("version as text", pack(with_(v="1")), "v must be"),
    ("version negative", pack(with_(v=-1)), "v must be"),
    ("version 1.0", pack(with_(v=1.0)), "v must be"),
    ("version true", pack(with_(v=True)), "v must be"),
    ("id as text", pack(with_(id=ID)), "id must be"),
    ("id of 15 bytes", pack(with_(id=b"x" * 15)), "id must be"),
    ("id of 17 bytes", pack(with_(id=b"x" * 17)), "id must be"),
    ("type empty", pack(with_(type="")), "type must be"),
    ("type too long", pack(with_(type="a" * 65)), "type must be"),
    ("type upper case", pack(with_(type="Noop")), "type must be"),
    ("type begins with a digit", pack(with_(type="1noop")), "type must be"),
    ("type with a slash", pack(with_(type="no/op")), "type must be"),
    ("type as binary", pack(with_(type=b"noop")), "type must be"),
    ("args an array", pack(with_(args=[])), "args must be"),
    ("args nil", pack(with_(args=None)), "args must be"),
    ("no attempts", pack(with_(max_attempts=0)), "max_attempts must be"),
    ("too many attempts", pack(with_(max_attempts=101)), "max_attempts must be"),
    ("attempts negative, in eight bytes", pack(with_()).replace(b"\x84", b"\x85", 1) + pack("max_attempts") + b"\xd3" +
     struct.pack(">q", -5), "max_attempts must be"),
    ("no time", pack(with_(timeout_ms=0)), "timeout_ms must be"),
    ("more than a day", pack(with_(timeout_ms=86400001)), "timeout_ms must be"),
    ("time past 32 bits", pack(with_(timeout_ms=2**32 + 1)), "timeout_ms must be"),
    ("follow-ups not an array", pack(with_(then={})), "then must be"),
    ("follow-ups of numbers", pack(with_(then=[{}, 1])), "then must be"),
    ("too many follow-ups", pack(with_(then=[{}] * 17)), "then must be"),
    ("parent as text", pack(with_(parent=PARENT)), "parent must be"),
    ("parent nil", pack(with_(parent=None)), "parent must be"),
    ("retry a list", pack(with_(retry=[])), "retry must be"),
    ("no expiry", pack(with_(expires_ms=0)), "expires_ms must be"),
    ("expiry after the year 9999", pack(with_(expires_ms=253402300800000)), "expires_ms must be"),
    ("key empty", pack(with_(key="")), "key must be"),
    ("key too long", pack(with_(key="k" * 129)), "key must be"),
    ("key of two lines", pack(with_(key="a\nb")), "key must be"),
    ("key as binary", pack(with_(key=b"k")), "key must be"),
    ("unique too long", pack(with_(unique="u" * 129)), "unique must be"),
    ("unique with DEL", pack(with_(unique="\x7f")), "unique must be"),
    ("batch as text", pack(with_(batch=BATCH)), "batch must be"),
    ("chain a map", pack(with_(chain={})), "chain must be"),
    ("chain of numbers", pack(with_(chain=[1])), "chain must be"),
    ("chain too long", pack(with_(chain=[{}] * 17)), "chain must be"),
    ("unknown field", pack(with_(priority="high")), "priority is not a known field"),
]


def write(name, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


write("jobs.json", [{"name": n, "job": j, "hex": pack(envelope(j)).hex()} for n, j in JOBS])
write("foreign.json", [{"name": n, "job": j, "hex": b.hex()} for n, j, b in FOREIGN])
write("malformed.json", [{"name": n, "hex": b.hex(), "error": e} for n, b, e in MALFORMED])
