// What all programs here share: connections, the row, the clock.
import { randomFillSync } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import Redis from "ioredis";
import pg from "pg";

export const QUEUE = "bench";
export const nowUs = () => Number(process.hrtime.bigint() / 1000n); // CLOCK_MONOTONIC, as everywhere in the benchmark
export const option = (name, otherwise) => process.env[`BENCH_${name}`] ?? otherwise;

// BullMQ asks for maxRetriesPerRequest null on workers; enableAutoPipelining sends what one turn of the event loop asks for at once.
export const redis = (more = {}) => new Redis(option("REDIS"), { maxRetriesPerRequest: null, ...more });

export function uuid7() {
  const b = randomFillSync(Buffer.allocUnsafe(16));
  b.writeUIntBE(Date.now(), 0, 6);
  b[6] = 0x70 | (b[6] & 0x0f);
  b[8] = 0x80 | (b[8] & 0x3f);
  const h = b.toString("hex");
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

const INSERT = {
  name: "row",
  text: `insert into jobs (id, state, priority, attempt, max_attempts, enqueued_at, started_at, finished_at, queue, type, worker, item)
         select id, 5, 2, attempt, 3, enqueued, started, finished, 'bench', 'noop', 'bullmq', item
           from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bytea[])
             as t (id, attempt, enqueued, started, finished, item) on conflict do nothing`,
};
const WAIT_MS = 2;
const ROWS = 512;

// Rows of jobs that end at about the same time go out as one statement, as Millrace's do: 2 ms or 512 rows.
export class RowWriter {
  constructor() {
    this.pool = new pg.Pool({ host: option("PG"), user: "millrace", database: "millrace", max: Number(option("PG_CONNECTIONS", 2)) });
    this.waiting = [];
    this.timer = null;
  }
  write(row) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ row, resolve, reject });
      if (this.waiting.length >= ROWS) this.flush();
      else this.timer ??= setTimeout(() => this.flush(), WAIT_MS);
    });
  }
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    const batch = this.waiting;
    this.waiting = [];
    const columns = [0, 1, 2, 3, 4, 5].map((i) => batch.map((w) => w.row[i]));
    this.pool.query({ ...INSERT, values: columns }).then(
      () => batch.forEach((w) => w.resolve()),
      (e) => batch.forEach((w) => w.reject(e)),
    );
  }
  close() {
    return this.pool.end();
  }
}

// One line a job: when it should have been enqueued, when its handler started.
export class StartLog {
  constructor(path) {
    this.fd = openSync(path, "a");
  }
  add(due, started) {
    writeSync(this.fd, `${due} ${started}\n`);
  }
}
