"""The test bed: one PostgreSQL for the whole run, a fresh Redis for each single measurement, the same for everyone.

Redis runs with the shipped redis.conf, or with `appendonly no` on top. Each run gets an empty one, so that no rewrite of an old
AOF and no allocator's past falls into it; the tables of PostgreSQL are emptied and a checkpoint is made.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

import psycopg2
import redis

from lib.children import Children, stop_strays
from stack import Stack

AOF = {"always": (), "off": ("appendonly no",)}


class Bed:
    def __init__(self, build):
        self.dir = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
        self.dir.chmod(0o711)
        self.children, self.stack, self.build = Children(self.dir), None, build

    def start(self):
        self.stack = Stack(self.dir, self.build, config={"RENDERERS": 0})
        self.stack.start_services()
        self.stack.redis.stop()

    @contextlib.contextmanager
    def fresh(self, aof):
        """Empty stores for one measurement; whatever it started has been stopped afterwards."""
        s = self.stack
        shutil.rmtree(s.redis.dir)
        s.redis.dir.mkdir()
        s.redis.extra = list(AOF[aof])
        s.redis.start()
        try:
            self.empty_tables()
            yield self
        finally:
            self.clean()

    def clean(self):
        self.children.stop_all()
        s = self.stack
        for w in s.workers.values():
            w.ask()
        for w in s.workers.values():
            w.stop()
        s.workers = {}
        if s.api:
            s.api.stop()
            s.api = None
        if s.listener:
            s.listener.close()
            s.listener = None
        s.redis.stop()

    def empty_tables(self):
        with contextlib.closing(psycopg2.connect(self.stack.pg.url)) as db:
            db.autocommit = True
            with db.cursor() as c:
                c.execute("truncate jobs, attempts, outputs")
                c.execute("checkpoint")

    def rows(self, sql, *args):
        with contextlib.closing(psycopg2.connect(self.stack.pg.url)) as db, db.cursor() as c:
            c.execute(sql, args)
            return c.fetchall()

    @property
    def redis(self):
        return redis.Redis(unix_socket_path=str(self.stack.redis.socket))

    @property
    def redis_pid(self):
        return self.stack.redis.process.pid

    @property
    def pg_pid(self):
        return self.stack.pg.process.pid

    def worker_pids(self):
        """Of whoever runs jobs at the moment: a producer has ended by then."""
        return [p.pid for p in [*self.children.running, *self.stack.workers.values()]]

    def env(self):
        """How peers find the stores."""
        return {"BENCH_REDIS": str(self.stack.redis.socket), "BENCH_PG": str(self.stack.pg.socket_dir), "BENCH_DIR": str(self.dir)}

    def close(self):
        try:
            if self.stack:
                self.clean()
                self.stack.stop()
            self.children.stop_all()
        finally:
            stop_strays()
            shutil.rmtree(self.dir, ignore_errors=True)
            if self.stack and self.stack.pg_home != self.dir:
                shutil.rmtree(self.stack.pg_home, ignore_errors=True)
