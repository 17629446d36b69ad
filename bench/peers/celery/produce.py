"""produce.py: BENCH_N tasks through one producer; or with BENCH_RATE so many a second for BENCH_SECONDS, each at its own time,
after BENCH_WARM others that do not count (due 0)."""

import os
import time

from tasks import app, noop


def now():
    return time.monotonic_ns() // 1000


payload, rate = os.environ.get("BENCH_PAYLOAD", ""), float(os.environ.get("BENCH_RATE", "0"))
with app.producer_pool.acquire(block=True) as producer:
    began = now()
    if rate == 0:
        for _ in range(int(os.environ["BENCH_N"])):
            noop.apply_async((payload,), producer=producer)
        print("took_us", now() - began)
    else:
        for _ in range(int(os.environ.get("BENCH_WARM", "0"))):
            noop.apply_async((payload, 0), producer=producer)
        began = now()
        n = round(rate * float(os.environ["BENCH_SECONDS"]))
        for i in range(n):
            due = began + round(i * 1e6 / rate)
            wait = due - now()
            if wait > 0:
                time.sleep(wait / 1e6)
            noop.apply_async((payload, due), producer=producer)
        print("sent", n)
