// produce.mjs: BENCH_RATE jobs a second for BENCH_SECONDS, each at its own time whatever became of those before it,
// after BENCH_WARM others that do not count (due 0). A thread
// keeps the time, because Node's timers know only milliseconds; `due` travels in the job. With BENCH_RATE=0: BENCH_N jobs one by one, 64 at once.
import { Worker as Thread, isMainThread, parentPort, workerData } from "node:worker_threads";
import { Queue } from "bullmq";
import { QUEUE, nowUs, option, redis, uuid7 } from "./common.mjs";

const IN_FLIGHT = 64;

function keepTime({ step, n }) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const begin = nowUs() + 50000;
  for (let i = 0; i < n; i++) {
    const due = begin + i * step;
    const left = (due - nowUs()) / 1000;
    if (left > 0) Atomics.wait(never, 0, 0, left);
    parentPort.postMessage(due);
  }
}

const opts = { removeOnComplete: true, attempts: 3 };
const payload = option("PAYLOAD", "");

async function openLoop(queue) {
  const rate = Number(option("RATE"));
  const n = Math.round(rate * Number(option("SECONDS")));
  for (let i = Number(option("WARM", 0)); i > 0; i--) await queue.add("noop", { id: uuid7(), due: 0, payload }, opts);
  const thread = new Thread(new URL(import.meta.url), { workerData: { step: 1e6 / rate, n } });
  let done = 0;
  await new Promise((resolve) => {
    thread.on("message", (due) => {
      queue.add("noop", { id: uuid7(), due, payload }, opts).then(() => ++done === n && resolve());
    });
  });
  console.log(`sent ${n}`);
}

async function oneByOne(queue) {
  let left = Number(option("N"));
  const began = nowUs();
  const lane = async () => {
    while (left-- > 0) await queue.add("noop", { id: uuid7(), payload }, opts);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  console.log(`took_us ${nowUs() - began}`);
}

if (isMainThread) {
  const connection = redis({ enableAutoPipelining: true });
  const queue = new Queue(QUEUE, { connection });
  await queue.waitUntilReady();
  await (Number(option("RATE", 0)) > 0 ? openLoop(queue) : oneByOne(queue));
  await queue.close();
  connection.disconnect();
} else {
  keepTime(workerData);
}
