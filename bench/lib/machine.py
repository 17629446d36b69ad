"""What a result was measured on."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path


def first_line(*argv):
    if not shutil.which(argv[0]):
        return None
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0] if (done.stdout + done.stderr).strip() else None


def version(*argv):
    found = re.search(r"\d+(\.\d+)+", first_line(*argv) or "")
    return found.group(0) if found else None


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def memory_gib():
    return int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)


def debian():
    place = Path("/etc/debian_version")
    return f"Debian {place.read_text().strip()}" if place.exists() else platform.platform()


def mount_of(path):
    """File system below path: an fsync costs what its disk costs."""
    best = ("", "?")
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if str(path).startswith(fields[1]) and len(fields[1]) >= len(best[0]):
            best = (fields[1], fields[2])
    return best[1]


def describe(place):
    """Lines for the head of a results file."""
    tools = {"gcc": version("gcc", "--version"), "Redis": version("redis-server", "--version"), "Node": version("node", "--version"),
             "Ruby": version("ruby", "--version"), "Python": version("/usr/bin/python3", "--version"), "nginx": version("nginx", "-v"),
             "wrk": version("wrk", "-v")}
    psql = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if psql:
        tools["PostgreSQL"] = version(str(psql[-1]), "--version")
    load = os.getloadavg()[0]
    return [f"{os.cpu_count()} × {cpu_model()}, {memory_gib():.0f} GiB, Linux {platform.release()}, {debian()}, data on {mount_of(place)}; "
            f"load when it began {load:.2f}.",
            ", ".join(f"{k} {v}" for k, v in tools.items() if v) + "."]
