// image.mjs: BullMQ + sharp, BENCH_CONCURRENCY images at once.
import { Worker } from "bullmq";
import { QUEUE, option, redis } from "./common.mjs";
import { make } from "./pixels.mjs";

const connection = redis();
const worker = new Worker(QUEUE, (job) => make(job.data.id, job.data), { connection, concurrency: Number(option("CONCURRENCY")) });
await worker.waitUntilReady();
console.log("ready");
process.on("SIGTERM", async () => {
  await worker.close();
  process.exit(0);
});
