// Reads the golden vectors with npm's @msgpack/msgpack and writes them again. Prints what it read, as JSON: binary as
// hex in {"bin"}; "same" says whether the bytes came out as they went in.
import { readFileSync } from "node:fs";
import { decode, encode } from "@msgpack/msgpack";

const plain = (v) => {
  if (v instanceof Uint8Array) return { bin: Buffer.from(v).toString("hex") };
  if (Array.isArray(v)) return v.map(plain);
  if (typeof v === "bigint") return Number(v);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  return v;
};
const out = JSON.parse(readFileSync(process.argv[2], "utf8")).map(({ name, hex }) => {
  const job = decode(Buffer.from(hex, "hex"));
  return { name, job: plain(job), same: Buffer.from(encode(job)).toString("hex") === hex };
});
console.log(JSON.stringify(out));
