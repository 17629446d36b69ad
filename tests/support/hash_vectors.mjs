// Prints tests/unit/hash_vectors.h: what the reference encoders make of pictures that a formula gives.
// BlurHash and ThumbHash come from npm (package.json); dHash and pHash are computed here from their
// definitions. The npm encoder scales by the largest AC component, the C, Swift and Python ones (and
// ours) by the largest magnitude: a vector stands only where that is the same. Run: node tests/support/hash_vectors.mjs > tests/unit/hash_vectors.h
import { encode } from "blurhash";
import { rgbaToThumbHash } from "thumbhash";

const idiv = (a, b) => Math.floor(a / b);
const patterns = [
  (x, y, w, h) => [idiv(x * 255, w), idiv(y * 255, h), (x * y) % 256, 255],
  (x, y) => ((idiv(x, 8) + idiv(y, 8)) % 2 ? [230, 40, 60, 255] : [20, 120, 200, 255]),
  (x, y, w, h) => [idiv(x * 255, w), idiv(y * 255, h), (x * y) % 256, idiv(x * 255, w)],
  (x, y) => [(x * 37 + y * 101) % 256, (x * 53 + y * 17) % 256, (x * 7 + y * 211) % 256, 255],
  (x, y, w, h) => [255 - idiv(x * 255, w), 255 - idiv(y * 255, h), 128, 255],
];
const sizes = [[32, 24], [24, 32], [100, 67], [8, 8], [1, 1], [9, 8], [32, 32]];

function draw(pattern, w, h) {
  const out = new Uint8ClampedArray(w * h * 4);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out.set(patterns[pattern](x, y, w, h), 4 * (y * w + x));
  return out;
}

// Whether the AC component of the largest magnitude is positive.
function blurhashAgrees(p, w, h) {
  const lin = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : Math.pow((v / 255 + 0.055) / 1.055, 2.4));
  let most = -Infinity, magnitude = 0;
  for (let j = 0; j < 3; j++)
    for (let i = 0; i < 4; i++)
      for (let b = 0; b < 3 && i + j > 0; b++) {
        let sum = 0;
        for (let y = 0; y < h; y++)
          for (let x = 0; x < w; x++) sum += Math.cos((Math.PI * i * x) / w) * Math.cos((Math.PI * j * y) / h) * lin(p[4 * (y * w + x) + b]);
        most = Math.max(most, sum);
        magnitude = Math.max(magnitude, Math.abs(sum));
      }
  return most === magnitude;
}

const grey = (p, i) => {
  const a = p[4 * i + 3] / 255;
  return Math.round((0.299 * p[4 * i] + 0.587 * p[4 * i + 1] + 0.114 * p[4 * i + 2]) * a + 255 * (1 - a));
};
const hex = (bits) => BigInt("0b" + bits.join("")).toString(16).padStart(16, "0");

function dhash(p) {
  const bits = [];
  for (let y = 0; y < 8; y++) for (let x = 0; x < 8; x++) bits.push(grey(p, y * 9 + x + 1) > grey(p, y * 9 + x) ? 1 : 0);
  return hex(bits);
}

function phash(p) {
  const n = 32, low = [];
  for (let v = 0; v < 8; v++)
    for (let u = 0; u < 8; u++) {
      let sum = 0;
      for (let y = 0; y < n; y++)
        for (let x = 0; x < n; x++)
          sum += grey(p, y * n + x) * Math.cos((Math.PI * u * (2 * x + 1)) / (2 * n)) * Math.cos((Math.PI * v * (2 * y + 1)) / (2 * n));
      low.push(Math.round(sum * 4 * 1000) / 1000);
    }
  const sorted = [...low].sort((a, b) => a - b);
  const median = (sorted[31] + sorted[32]) / 2;
  return hex(low.map((v) => (v > median ? 1 : 0)));
}

console.log("/* Made by tests/support/hash_vectors.mjs. NULL: not computed for that picture. */");
console.log("static const struct {\n    int pattern, width, height;\n    const char *blurhash, *thumbhash, *dhash, *phash;\n} vectors[] = {");
const text = (s) => (s === null ? "NULL" : JSON.stringify(s).replaceAll("??", "?\\?"));
for (let k = 0; k < patterns.length; k++)
  for (const [w, h] of sizes) {
    const p = draw(k, w, h);
    const blur = k === 2 || !blurhashAgrees(p, w, h) ? null : encode(p, w, h, 4, 3);
    const thumb = Buffer.from(rgbaToThumbHash(w, h, p)).toString("base64");
    console.log(`    {${k}, ${w}, ${h}, ${text(blur)}, ${text(thumb)}, ${text(w === 9 ? dhash(p) : null)}, ${text(w === 32 && h === 32 ? phash(p) : null)}},`);
  }
console.log("};");
