"""Files of the blob directory: made without a job, made old, looked at."""

import hashlib
import os
import time

GRACE_S = 3600  # as short as BLOB_GRACE can be
QUICK_SWEEP = {"SWEEP_EVERY": "100ms", "BLOB_GRACE": "1h"}


def path_of(stack, file):
    return stack.dir / "blobs" / file


def make(stack, content, age_s=0):
    """A file that no job has made; gives its name."""
    digest = hashlib.sha256(content).hexdigest()
    file = f"{digest[:2]}/{digest}.webp"
    path_of(stack, file).parent.mkdir(mode=0o750, exist_ok=True)
    path_of(stack, file).write_bytes(content)
    set_age(stack, file, age_s)
    return file


def set_age(stack, file, age_s=2 * GRACE_S):
    at = time.time() - age_s
    os.utime(path_of(stack, file), (at, at))


def is_young(stack, file):
    return time.time() - path_of(stack, file).stat().st_mtime < GRACE_S


def there(stack):
    """The names of all files but uploads."""
    blobs = stack.dir / "blobs"
    return {p.relative_to(blobs).as_posix() for p in blobs.rglob("*") if p.is_file() and p.parent.name != "uploads"}


def with_rows(stack):
    return {file for file, in stack.client.rows("select distinct file from outputs")}


def give_row(stack, file, job_id):
    """As if another job of that id had made it."""
    stack.client.rows("insert into outputs (job_id, attempt, width, height, bytes, name, format, file, sha256)"
                      " values (%s, 1, 1, 1, %s, %s, 'webp', %s, decode(%s, 'hex')) returning name",
                      job_id, path_size(stack, file), file[3:20], file, file[3:67])


def path_size(stack, file):
    found = path_of(stack, file)
    return (found if found.exists() else found.with_name(found.name + ".swept")).stat().st_size


def pass_sweeps(stack, n=2):
    """Waits until that many sweeps have had their turn, so that one that began before is over."""
    for _ in range(n):
        stack.client.redis.delete("mr:sweep")
        stack.client.until(lambda: stack.client.redis.exists("mr:sweep"), "a sweep's turn")
