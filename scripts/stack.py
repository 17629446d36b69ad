"""A whole Millrace of its own: private Redis and PostgreSQL, one API, workers.

Used by `make run`, `make demo` and the tests, so that all three start the same thing. Everything
lives in one state directory; services listen on unix sockets there (or, where the path is too
long for one, in a temporary directory) and the API on a free loopback port. What was started is
stopped by its process id, children first come last.
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_S = 60


class StackError(Exception):
    """Something did not start; the text says what and shows the end of its log."""


def wait_until(check, what, timeout_s=READY_S, process=None, log=None):
    """Calls check() until it gives something true. Polls: for starts only, never inside a test of the product."""
    end = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        gone = process is not None and process.poll() is not None
        if gone or time.monotonic() > end:
            tail = Path(log).read_text(errors="replace")[-2000:] if log and Path(log).exists() else ""
            why = f"ended with {process.returncode}" if gone else f"not there after {timeout_s} s"
            raise StackError(f"{what}: {why}\n{tail}")
        time.sleep(0.02)


def find_program(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise StackError(f"{' or '.join(names)} is not installed (scripts/deps run)")


def postgres_bin():
    """Debian keeps each version's programs in a directory of its own; the newest is taken."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if places:
        return places[-1].parent
    return Path(find_program("postgres")).parent


def place_for_postgres(directory):
    """Where its data and sockets go and what runs it: PostgreSQL refuses to be root. For root it runs as the user
    postgres where that user can reach the directory, else as a mapped user in a user namespace of its own; where
    the kernel gives none (a chroot), its part of the state moves to a directory below /var/tmp."""
    directory = Path(directory)
    if os.geteuid() != 0:
        return [], directory
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    try:
        pwd.getpwnam("postgres")
        has_user = True
    except KeyError:
        has_user = False
    if has_user and subprocess.run([*as_postgres, "test", "-x", str(directory)], check=False).returncode == 0:
        return as_postgres, directory
    mapped = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*mapped, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return mapped, directory
    if not has_user:
        raise StackError("PostgreSQL does not run as root, and there is no user postgres to run it as")
    apart = Path("/var/tmp") / f"millrace-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"
    apart.mkdir(exist_ok=True)
    if apart.is_symlink() or apart.stat().st_uid != 0:
        raise StackError(f"{apart} belongs to somebody else")
    apart.chmod(0o711)
    return as_postgres, apart


class Process:
    """One child with its log file."""

    def __init__(self, name, argv, log, env=None, **kw):
        self.name, self.log, self.asked = name, Path(log), False
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True, **kw)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def send(self, number):
        if self.alive():
            self.popen.send_signal(number)

    def ask(self, number=signal.SIGTERM):
        """Asks it to end, once."""
        if not self.asked:
            self.asked = True
            self.send(number)

    def wait(self, timeout_s=60):
        return self.popen.wait(timeout_s)

    def stop(self, number=signal.SIGTERM, timeout_s=60):
        """Gives the exit status; kills what does not end in time. A second SIGTERM would cut a drain short."""
        self.ask(number)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


class Redis:
    """A private redis-server with the shipped redis.conf."""

    def __init__(self, directory, socket_dir, extra=()):
        self.dir, self.socket = Path(directory), Path(socket_dir) / "redis.sock"
        self.extra, self.process = list(extra), None
        self.environment = {}  # beside this process's own
        self.dir.mkdir(parents=True, exist_ok=True)

    @property
    def url(self):
        return f"unix://{self.socket}"

    def start(self):
        conf = self.dir / "redis.conf"
        lines = [f"include {ROOT / 'deploy/redis.conf'}", "port 0", f"unixsocket {self.socket}", "unixsocketperm 700",
                 f"dir {self.dir}", "daemonize no", *self.extra]
        conf.write_text("\n".join(lines) + "\n")
        self.cut_torn_end()
        self.process = Process("redis", [find_program("redis-server", "valkey-server"), str(conf)], self.dir / "redis.log",
                               env={**os.environ, **self.environment})
        wait_until(self.answers, "redis", process=self.process.popen, log=self.process.log)

    def cut_torn_end(self):
        """As deploy/redis-server.service.d does before each start: what a crash left half written was never acknowledged."""
        for manifest in self.dir.glob("appendonlydir/*.manifest"):
            done = subprocess.run([find_program("redis-check-aof", "valkey-check-aof"), "--fix", str(manifest)], input="y\n" * 8,
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise StackError(f"redis-check-aof --fix {manifest}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr}")

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.socket))
                s.sendall(b"PING\r\n")
                return s.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def kill(self):
        self.process.stop(signal.SIGKILL)
        self.process = None


class Postgres:
    """A private PostgreSQL cluster; prefix is what makes it run as somebody else than root."""

    def __init__(self, directory, socket_dir, extra=(), prefix=()):
        self.dir, self.socket_dir = Path(directory), Path(socket_dir)
        self.extra, self.process, self.bin = list(extra), None, postgres_bin()
        self.template = None  # a cluster that was made and stopped: copied, because initdb takes seconds
        self.prefix = list(prefix)

    @property
    def url(self):
        return f"host={self.socket_dir} dbname=millrace user=millrace"

    def give(self, path):
        if self.prefix and self.prefix[0] == "setpriv":
            shutil.chown(path, "postgres", "postgres")

    def start(self):
        if not (self.dir / "PG_VERSION").exists():
            self.create()
        argv = [*self.prefix, str(self.bin / "postgres"), "-D", str(self.dir), "-k", str(self.socket_dir), "-h", "",
                "-c", "logging_collector=off", *[x for e in self.extra for x in ("-c", e)]]
        self.process = Process("postgres", argv, self.dir.parent / "postgres.log")
        wait_until(self.answers, "postgres", process=self.process.popen, log=self.process.log)

    def create(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.give(self.dir)
        self.give(self.socket_dir)
        if self.template:
            subprocess.run(["cp", "-a", f"{self.template}/.", str(self.dir)], check=True)
            return
        done = subprocess.run(
            [*self.prefix, str(self.bin / "initdb"), "-D", str(self.dir), "-U", "millrace", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-instructions", "--no-sync"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise StackError(f"initdb failed:\n{done.stdout}{done.stderr}")
        with open(self.dir / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write((ROOT / "deploy/postgresql.conf").read_text())

    def answers(self):
        done = subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.socket_dir), "-U", "millrace"], check=False)
        return done.returncode == 0

    def create_database(self):
        psql = [str(self.bin / "psql"), "-h", str(self.socket_dir), "-U", "millrace", "-d", "postgres", "-X", "-A", "-t", "-c"]
        there = subprocess.run([*psql, "select 1 from pg_database where datname = 'millrace'"],
                               capture_output=True, text=True, check=True).stdout.strip()
        if there != "1":
            subprocess.run([*psql, "create database millrace"], capture_output=True, check=True)

    def stop(self, number=signal.SIGINT):
        """SIGINT is PostgreSQL's fast shutdown."""
        if self.process:
            self.process.stop(number)
            self.process = None

    def kill(self):
        """As a crash: the postmaster and, because they notice, all its children."""
        self.process.stop(signal.SIGQUIT)
        self.process = None


class Stack:
    """Redis, PostgreSQL, API and workers in one directory."""

    def __init__(self, directory, build, config=None, redis_extra=(), pg_extra=(), log_format="json"):
        self.dir, self.build = Path(directory), Path(build).resolve()
        self.config = dict(config or {})
        self.environment = {}  # of the programs, beside their configuration
        self.log_format = log_format
        self.dir.mkdir(parents=True, exist_ok=True)
        self.short = None
        pg_prefix, self.pg_home = place_for_postgres(self.dir)
        self.sockets = self.socket_dir()
        for name in ("spool", "blobs", "log"):
            (self.dir / name).mkdir(exist_ok=True)
        self.redis = Redis(self.dir / "redis", self.sockets, redis_extra)
        self.pg = Postgres(self.pg_home / "postgres", self.sockets, pg_extra, pg_prefix)
        self.api, self.workers, self.url, self.listener = None, {}, None, None

    def socket_dir(self):
        """A unix socket's path may have 107 bytes."""
        place = self.pg_home / "run"
        if len(str(place)) > 80:
            self.short = tempfile.mkdtemp(prefix="millrace-")
            place = Path(self.short)
        place.mkdir(exist_ok=True)
        place.chmod(0o711)
        return place

    def env(self, **more):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TERM", "TMPDIR")
                or k.startswith(("ASAN_", "UBSAN_", "LSAN_", "TSAN_"))}
        env = {
            "MILLRACE_REDIS_URL": self.redis.url,
            "MILLRACE_PG_URL": self.pg.url,
            "MILLRACE_SPOOL_DIR": str(self.dir / "spool"),
            "MILLRACE_BLOB_DIR": str(self.dir / "blobs"),
            "MILLRACE_LOG_FORMAT": self.log_format,
        }
        env.update({f"MILLRACE_{k}": str(v) for k, v in self.config.items()})
        env.update({f"MILLRACE_{k}": str(v) for k, v in more.items()})
        return {**keep, **env, **self.environment}

    def cli(self, *args, check=True, **more):
        done = subprocess.run([str(self.build / "millrace"), *args], env=self.env(**more), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise StackError(f"millrace {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start_services(self):
        starting = threading.Thread(target=self.redis.start)
        starting.start()
        self.pg.start()
        self.pg.create_database()
        starting.join()
        self.cli("migrate")

    def remembered_port(self):
        """The port of last time, so that yesterday's curl lines go on working."""
        note = self.dir / "port"
        wanted = int(note.read_text()) if note.exists() else 0
        for port in (wanted, 0):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                break
            except OSError:
                sock.close()
        sock.listen(1024)
        note.write_text(str(sock.getsockname()[1]))
        return sock

    def start_api(self, **more):
        """The listening socket is made here and handed over as systemd would, so no port is guessed."""
        if self.listener is None:
            self.listener = self.remembered_port()
            self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        fd = self.listener.fileno()  # may have two digits, which dash does not take
        script = f'exec 3<&{fd}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0"' if fd != 3 else \
            'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0"'
        self.api = Process("api", ["bash", "-c", script, str(self.build / "millrace-api")], self.dir / "log/api.log",
                           env=self.env(**more), pass_fds=[fd])
        wait_until(lambda: self.get("/healthz")[0] == 200, "millrace-api", process=self.api.popen, log=self.api.log)
        # It listens before it has reached Redis, so that a first request could be told to come again.
        if "REDIS_URL" not in {**self.config, **more} and self.redis.process and self.redis.answers():
            wait_until(lambda: self.get("/readyz")[0] == 200, "the API's readiness", process=self.api.popen, log=self.api.log)

    def start_worker(self, instance="1", wait=True, **more):
        log = self.dir / f"log/worker-{instance}.log"
        begin = log.stat().st_size if log.exists() else 0
        w = Process("worker", [str(self.build / "millrace-worker")], log, env=self.env(INSTANCE=instance, **more))
        self.workers[instance] = w
        if wait:
            wait_until(lambda: b"consumer.ready" in log.read_bytes()[begin:], f"worker {instance}", process=w.popen, log=log)
        return w

    def start(self):
        self.start_services()
        self.start_api()
        self.start_worker()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        """Gives (status, headers, bytes); a refused connection is status 0."""
        req = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(req, timeout=timeout_s) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()
        except (urllib.error.URLError, OSError) as e:
            return 0, {}, str(e).encode()

    def post_json(self, path, value, headers=None):
        status, head, body = self.request("POST", path, json.dumps(value).encode(),
                                          {"content-type": "application/json", **(headers or {})})
        return status, head, json.loads(body) if body and status else body

    def stop(self):
        """Newest first: workers let go of their jobs, then the API, then what they talk to."""
        codes = {}
        for w in self.workers.values():
            w.ask()
        for name, w in self.workers.items():
            codes[f"worker {name}"] = w.stop()
        self.workers = {}
        if self.api:
            codes["api"] = self.api.stop()
            self.api = None
        if self.listener:
            self.listener.close()
            self.listener = None
        self.redis.stop()
        self.pg.stop()
        if self.short:
            shutil.rmtree(self.short, ignore_errors=True)
        return codes


if __name__ == "__main__":
    sys.exit("stack.py is used by scripts/run and the tests")
