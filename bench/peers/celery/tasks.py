"""The Celery application, for its workers and its producers.

Results are not kept and events not sent: nobody would read them. Messages carry JSON. A prefetch of 64 spares round trips; tasks are
acknowledged early, which is Celery's default and its quickest.
"""

import os
import time

from celery import Celery

app = Celery("bench", broker="redis+socket://" + os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, task_store_errors_even_if_ignored=False, worker_send_task_events=False, task_send_sent_event=False,
                worker_prefetch_multiplier=64, task_serializer="json", accept_content=["json"], worker_enable_remote_control=False,
                broker_pool_limit=4, task_create_missing_queues=True, worker_hijack_root_logger=False)
STARTS = os.environ.get("BENCH_STARTS")
OUT = os.open(STARTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if STARTS else None


@app.task(name="noop")
def noop(payload, due=None):
    if OUT is not None:
        os.write(OUT, b"%d %d\n" % (due, time.monotonic_ns() // 1000))
