"""What PostgreSQL takes at most: the same row, 512 a statement through unnest, one connection, nothing else to do."""

import os
import time

import psycopg2

from lib import settings as sizes
from lib.measures import rounds

TITLE = "Limit: bare batched INSERT"
NOTE = "Rows a second of table jobs; statements are built before the clock starts; one transaction a statement, fsync on."
ROWS = 512
INSERT = """insert into jobs (id, state, priority, attempt, max_attempts, enqueued_at, started_at, finished_at, queue, type, worker, item)
            select id, 5, 2, 1, 3, now(), now(), now(), 'bench', 'noop', 'bench', item from unnest(%s::uuid[], %s::bytea[]) as t (id, item)"""


def uuid7():
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def inserted(bed, n):
    with bed.fresh("off"):
        db = psycopg2.connect(bed.stack.pg.url)
        try:
            db.autocommit = True
            with db.cursor() as c:
                item = sizes.payload().encode()
                statements = [c.mogrify(INSERT, ([uuid7() for _ in range(ROWS)], [psycopg2.Binary(item)] * ROWS))
                              for _ in range(max(1, n // ROWS))]
                began = time.monotonic()
                for s in statements:
                    c.execute(s)
                return len(statements) * ROWS / (time.monotonic() - began)
        finally:
            db.close()


def run(bed, settings, report):
    report.section(TITLE, NOTE)
    report.outcome("psycopg2, one connection", rounds(settings.rounds, {"insert": lambda: inserted(bed, settings.drain)})["insert"], "/s")
