// fill.mjs: BENCH_N jobs with addBulk, 1000 a call; or image jobs (BENCH_SOURCE, BENCH_WIDTHS).
import { Queue } from "bullmq";
import { QUEUE, nowUs, option, redis, uuid7 } from "./common.mjs";

const n = Number(option("N"));
const payload = option("PAYLOAD", "");
const source = option("SOURCE");
const widths = option("WIDTHS", "").split(",").map(Number);
const connection = redis();
const queue = new Queue(QUEUE, { connection });
const opts = { removeOnComplete: true, attempts: 3 };
const data = () => (source ? { id: uuid7(), source, widths } : { id: uuid7(), payload });

const began = nowUs();
for (let left = n; left > 0; left -= 1000)
  await queue.addBulk(Array.from({ length: Math.min(left, 1000) }, () => ({ name: "noop", data: data(), opts })));
console.log(`took_us ${nowUs() - began}`);
await queue.close();
connection.disconnect();
