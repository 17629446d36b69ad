// sharp.mjs: sharp by itself, BENCH_N images one after another; a fifth of them before the clock starts.
import { nowUs, option } from "./common.mjs";
import { make } from "./pixels.mjs";

const data = { source: option("SOURCE"), widths: option("WIDTHS").split(",").map(Number) };
const n = Number(option("N"));
let began, used;
for (let i = -Math.ceil(n / 5); i < n; i++) {
  if (i === 0) [began, used] = [nowUs(), process.cpuUsage()];
  await make(i & 15, data);
}
const cpu = process.cpuUsage(used);
console.log(`images/s ${((n * 1e6) / (nowUs() - began)).toFixed(3)} cpu_ms ${((cpu.user + cpu.system) / 1e3 / n).toFixed(3)}`);
