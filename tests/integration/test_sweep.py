"""The sweep of the blob directory: what it removes, what it says, by hand and by itself."""

import json
import re
import signal
import subprocess

import psycopg2
import pytest

from support import blobs

OLD_S = 2 * blobs.GRACE_S
OUTPUTS = [{"name": "small", "ops": [{"resize": {"width": 64}}], "format": "webp"}]


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(METRICS_LISTEN="127.0.0.1:0", RESULT_MEMORY="true", **blobs.QUICK_SWEEP)


@pytest.fixture(scope="module")
def still(module_stacks):
    """No worker of it sweeps."""
    return module_stacks(SWEEP_EVERY="0")


def run(stack, data):
    job = stack.client.ended(stack.client.submit(
        {"type": "image", "args": {"source": {"upload": stack.client.upload(data)}, "outputs": OUTPUTS}}))
    assert job["state"] == "succeeded", job
    return job


def file_of(job):
    return job["outputs"][0]["file"]


def swept(stack):
    return {name.removeprefix("millrace_"): int(v) for (name, _), v in stack.client.worker_samples().items() if "_swe" in name}


def gone(stack, file):
    stack.client.until(lambda: file not in blobs.there(stack), f"the removal of {file}")


# --- by itself

def test_an_old_file_without_a_row_is_removed_and_told(stack):
    before = swept(stack)
    gone(stack, blobs.make(stack, b"nobody's", age_s=OLD_S))
    stack.client.until(lambda: swept(stack)["blobs_swept_total"] == before["blobs_swept_total"] + 1, "the count")
    assert swept(stack)["blobs_swept_bytes_total"] == before["blobs_swept_bytes_total"] + len(b"nobody's")
    told = stack.client.events("worker-1", "blobs.swept")[-1]
    assert (told["removed"], told["bytes"], told["put_back"]) == (1, 8, 0) and told["looked"] >= 1


def test_what_is_young_or_has_a_row_or_another_name_stays(stack, picture):
    job = run(stack, picture(320, 240).read_bytes())
    blobs.set_age(stack, file_of(job), OLD_S)
    young = blobs.make(stack, b"young", age_s=blobs.GRACE_S - 300)
    upload = stack.client.upload(b"an upload")
    blobs.set_age(stack, f"uploads/{upload}", OLD_S)
    foreign = blobs.path_of(stack, "aa/readme.txt")
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("not ours")
    blobs.set_age(stack, "aa/readme.txt", OLD_S)
    gone(stack, blobs.make(stack, b"mark", age_s=OLD_S))
    blobs.pass_sweeps(stack)
    assert {file_of(job), young, "aa/readme.txt"} <= blobs.there(stack)
    assert blobs.path_of(stack, f"uploads/{upload}").exists(), "uploads are the API's: UPLOAD_TTL"
    status, _, body = stack.get(job["outputs"][0]["url"])
    assert status == 200 and len(body) == job["outputs"][0]["bytes"]


def test_a_file_goes_when_its_month_is_dropped(stack, picture):
    job = run(stack, picture(330, 240).read_bytes())
    stack.client.rows("delete from outputs where job_id = %s returning name", job["id"])  # as millrace_drop_months() would
    blobs.set_age(stack, file_of(job), OLD_S)
    gone(stack, file_of(job))


def test_the_memory_of_results_does_not_give_what_was_swept(stack, picture):
    data = picture(340, 240).read_bytes()
    first = run(stack, data)
    stack.client.rows("delete from outputs where job_id = %s returning name", first["id"])
    blobs.set_age(stack, file_of(first), OLD_S)
    gone(stack, file_of(first))
    again = run(stack, data)
    assert "cached" not in again["result"] and file_of(again) in blobs.there(stack)


def test_what_the_memory_gives_is_young_before_its_row_is_there(stack, picture):
    data = picture(350, 240).read_bytes()
    first = run(stack, data)
    blobs.set_age(stack, file_of(first), OLD_S)
    again = run(stack, data)
    assert again["result"]["cached"] and file_of(again) == file_of(first)
    assert blobs.is_young(stack, file_of(first))


def test_of_several_workers_each_file_is_removed_by_one(stacks):
    stack = stacks(**blobs.QUICK_SWEEP)
    stack.start_worker("2")
    files = {blobs.make(stack, b"file %d" % n, age_s=OLD_S) for n in range(40)}

    def told():
        return sum(e["removed"] for w in ("worker-1", "worker-2") for e in stack.client.events(w, "blobs.swept"))
    stack.client.until(lambda: told() >= len(files), "the sweep")
    assert told() == len(files) and not files & blobs.there(stack)


@pytest.mark.parametrize("key, value", [("BLOB_GRACE", "59m"), ("BLOB_KEEP", "16m"), ("SWEEP_EVERY", "8d")])
def test_times_that_would_not_be_safe_stop_the_start(build, tmp_path, key, value):
    env = {f"MILLRACE_{k}": v for k, v in {"REDIS_URL": "redis://x", "PG_URL": "host=x", "SPOOL_DIR": str(tmp_path), "BLOB_DIR": str(tmp_path),
                                           key: value}.items()}
    done = subprocess.run([str(build / "millrace-worker"), "--check"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 78 and key in done.stderr + done.stdout


# --- by hand

def test_by_hand_it_counts_first_and_removes_then(still):
    files = {blobs.make(still, b"by hand %d" % n, age_s=25 * blobs.GRACE_S) for n in range(300)}
    hours = blobs.make(still, b"hours old", age_s=2 * blobs.GRACE_S)
    dry = json.loads(still.cli("sweep", "--dry-run", "--json").stdout)
    assert (dry["matched"], dry["put_back"]) == (300, 0) and dry["looked"] >= 301 and dry["bytes"] == sum(blobs.path_size(still, f) for f in files)
    assert files <= blobs.there(still)
    assert "300 files without a row would be removed (" in still.cli("sweep", "--dry-run").stdout
    assert re.match(r"300 files without a row removed \(\d.* kB\), of \d+ that were looked at\n$", still.cli("sweep").stdout)
    assert not files & blobs.there(still) and hours in blobs.there(still)
    assert json.loads(still.cli("sweep", "--blob-grace", "1h", "--json").stdout)["removed"] == 1
    assert hours not in blobs.there(still)
    assert not [f for f in blobs.there(still) if f.startswith(".") or f.endswith(".swept")]


def test_by_hand_it_can_be_interrupted(still):
    old = blobs.make(still, b"interrupted", age_s=25 * blobs.GRACE_S)
    with psycopg2.connect(still.pg.url) as db, db.cursor() as cursor:
        cursor.execute("lock table outputs in access exclusive mode")
        sweep = subprocess.Popen([str(still.build / "millrace"), "sweep"], env=still.env(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        still.client.until(lambda: still.client.rows("select 1 from pg_stat_activity where application_name = 'millrace' and wait_event_type = 'Lock'"),
                           "its question")
        sweep.send_signal(signal.SIGINT)
        assert (sweep.communicate(timeout=60)[1], sweep.returncode) == (b"millrace: interrupted\n", 1)
    assert old in blobs.there(still)


def test_without_a_sweep_nothing_is_removed(still):
    old = blobs.make(still, b"old", age_s=OLD_S)
    run_through = still.client.noop()
    still.client.ended(run_through)
    assert old in blobs.there(still) and not still.client.redis.exists("mr:sweep")


@pytest.mark.parametrize("config, code, said", [
    ({"BLOB_DIR": ""}, 78, "BLOB_DIR is not set"),
    ({"BLOB_DIR": "/nowhere/at/all"}, 1, "/nowhere/at/all"),
    ({"PG_URL": ""}, 78, "PG_URL is not set"),
    ({"PG_URL": "host=/nowhere dbname=x"}, 3, "cannot be reached"),
    ({"BLOB_GRACE": "59m"}, 78, "BLOB_GRACE"),
])
def test_by_hand_it_says_what_is_wrong(still, config, code, said):
    done = still.cli("sweep", check=False, **config)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
