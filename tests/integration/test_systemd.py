"""The units are sound and tight, and the programs speak systemd's protocols."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
UNITS = ["millrace-api.service", "millrace-worker@.service"]


@pytest.fixture(scope="module")
def installed(build, tmp_path_factory):
    """What `make install` puts into a staging directory, with units whose programs are there."""
    place = tmp_path_factory.mktemp("install")
    mode = next((m for m in ("release", "asan", "tsan") if m in build.name), "debug")
    subprocess.run(["make", "--no-print-directory", "-s", "install", f"B={os.path.relpath(build, ROOT)}", f"MODE={mode}",
                    f"DESTDIR={place}", "PREFIX=/usr"], cwd=ROOT, check=True, capture_output=True)
    return place


def test_install_puts_every_part_where_it_belongs(installed):
    for name in ("bin/millrace", "bin/millrace-api", "bin/millrace-worker", "libexec/millrace/millrace-render",
                 "lib/sysusers.d/millrace.conf", "lib/tmpfiles.d/millrace.conf", "share/man/man1/millrace.1",
                 "share/doc/millrace/deploy/redis.conf", *(f"lib/systemd/system/{u}" for u in UNITS)):
        assert (installed / "usr" / name).is_file(), name


def test_installed_worker_finds_the_installed_renderer(installed, tmp_path):
    env = {"PATH": os.environ["PATH"], "MILLRACE_REDIS_URL": "unix:///nowhere", "MILLRACE_PG_URL": "host=/nowhere",
           "MILLRACE_SPOOL_DIR": str(tmp_path / "spool"), "MILLRACE_BLOB_DIR": str(tmp_path / "blobs"), "MILLRACE_LOG_FORMAT": "json"}
    worker = subprocess.Popen([str(installed / "usr/bin/millrace-worker")], env=env, stderr=subprocess.PIPE, text=True)
    try:
        for line in worker.stderr:
            assert "start.failed" not in line, line
            if '"redis.down"' in line:
                break
    finally:
        worker.send_signal(signal.SIGTERM)
        rest = worker.communicate(timeout=60)[1]
    assert worker.returncode == 0, rest


@pytest.mark.parametrize("unit", UNITS)
def test_unit_passes_systemd_analyze_verify(installed, unit, tmp_path):
    text = (installed / "usr/lib/systemd/system" / unit).read_text()
    text = text.replace("/usr/bin/", f"{installed}/usr/bin/")
    name = unit.replace("@", "@1")
    (tmp_path / unit).write_text(text)
    if name != unit:
        (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, check=False)
    # Other units of the machine are none of our business.
    ours = [line for line in done.stderr.splitlines() if "millrace" in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_as_tight_as_the_strictest_daemons(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=13", str(ROOT / "systemd" / unit)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-600:]


def notify_socket(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(path))
    s.settimeout(60)
    return s


def messages_until(sock, wanted):
    seen = []
    while not any(wanted in m for m in seen):
        seen.append(sock.recv(4096).decode())
    return seen


@pytest.mark.parametrize("program", ["millrace-api", "millrace-worker"])
def test_program_tells_systemd_ready_watchdog_and_stopping(stacks, program, tmp_path):
    stack = stacks(start=False)
    stack.start_services()
    sock = notify_socket(tmp_path / "notify")
    env = {**stack.env(LISTEN="127.0.0.1:0"), "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    child = subprocess.Popen([str(stack.build / program)], env=env, stderr=subprocess.DEVNULL)
    try:
        assert any("STATUS=" in m for m in messages_until(sock, "READY=1"))
        messages_until(sock, "WATCHDOG=1")
        child.send_signal(signal.SIGTERM)
        messages_until(sock, "STOPPING=1")
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
        sock.close()


def test_config_error_ends_with_78_so_that_systemd_does_not_try_again(build):
    for program in ("millrace-api", "millrace-worker"):
        done = subprocess.run([str(build / program), "--check"], env={"PATH": os.environ["PATH"], "MILLRACE_DRAIN": "soon"},
                              capture_output=True, text=True, check=False)
        assert done.returncode == 78, done
        assert "MILLRACE_DRAIN" in done.stderr and "soon" in done.stderr, done.stderr
    unit = (ROOT / "systemd/millrace-api.service").read_text()
    assert "RestartPreventExitStatus=78" in unit


def test_sysusers_file_parses():
    if not shutil.which("systemd-sysusers"):
        pytest.skip("systemd-sysusers is not installed")
    done = subprocess.run(["systemd-sysusers", "--dry-run", str(ROOT / "systemd/millrace.sysusers.conf")], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
