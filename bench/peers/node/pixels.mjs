// What an image job does with sharp, with a queue before it or without. One libvips thread an image, as sharp's documentation
// advises where many run at once. Several widths: BENCH_HOW=clone decodes for each (what sharp's documentation shows), chain makes
// each from the next larger one's pixels. BENCH_FORMAT, BENCH_QUALITY and BENCH_EFFORT say how clones are saved.
import { mkdirSync } from "node:fs";
import sharp from "sharp";
import { option } from "./common.mjs";

sharp.concurrency(1);
sharp.cache(false);
const out = `${option("DIR")}/sharp-${process.pid}`;
mkdirSync(out, { recursive: true });
const jpeg = { quality: 80 };
const format = option("FORMAT", "jpeg");
const set = (name) => (option(name, "") ? { [name.toLowerCase()]: Number(option(name, "")) } : {});
const save = format === "jpeg" ? jpeg : { ...set("QUALITY"), ...set("EFFORT") };
const animated = format === "gif";

async function clones(job, { source, widths }) {
  await Promise.all(widths.map((w) => sharp(source, { animated }).resize(w).toFormat(format, save).toFile(`${out}/${job}-${w}.${format}`)));
}

async function chain(job, { source, widths }) {
  const [largest, ...rest] = widths;
  let { data, info } = await sharp(source).resize(largest).raw().toBuffer({ resolveWithObject: true });
  await sharp(data, { raw: info }).jpeg(jpeg).toFile(`${out}/${job}-${largest}.jpg`);
  for (const w of rest) {
    ({ data, info } = await sharp(data, { raw: info }).resize(w).raw().toBuffer({ resolveWithObject: true }));
    await sharp(data, { raw: info }).jpeg(jpeg).toFile(`${out}/${job}-${w}.jpg`);
  }
}

export const make = option("HOW") === "chain" ? chain : clones;
