// worker.mjs: runs no-op jobs, BENCH_CONCURRENCY at once; with BENCH_ROWS=1 each ends with its row in PostgreSQL;
// with BENCH_STARTS=file it writes down when each handler started.
import { Worker } from "bullmq";
import { QUEUE, RowWriter, StartLog, nowUs, option, redis } from "./common.mjs";

const rows = option("ROWS") ? new RowWriter() : null;
const starts = option("STARTS") ? new StartLog(option("STARTS")) : null;

async function handle(job) {
  const now = nowUs();
  if (starts) starts.add(job.data.due, now);
  if (!rows) return;
  const at = new Date();
  await rows.write([job.data.id, job.attemptsStarted, new Date(job.timestamp), at, at, Buffer.from(job.data.payload)]);
}

const connection = redis();
const worker = new Worker(QUEUE, handle, { connection, concurrency: Number(option("CONCURRENCY", 100)) });
await worker.waitUntilReady();
console.log("ready");
process.on("SIGTERM", async () => {
  await worker.close();
  await rows?.close();
  process.exit(0);
});
