// What a browser loads before the first page shows: under 300 kB of JavaScript, gzipped. Charts come later.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const folder = new URL("../../src/watchkeeper/server/console/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8"));
const first = new Set();
const take = (name) => {
  if (first.has(manifest[name].file)) return;
  first.add(manifest[name].file);
  (manifest[name].imports ?? []).forEach(take);
};
take("index.html");
const bytes = [...first].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, folder))).length, 0);
console.log(`console: ${Math.round(bytes / 1000)} kB of JavaScript at first load, gzipped`);
if (bytes > 300_000) {
  console.error("console: that is over 300 kB; load what the first page does not show lazily");
  process.exit(1);
}
