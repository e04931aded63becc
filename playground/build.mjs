// Bundles the page into target/playground and prints its size: `node build.mjs`, which docs/build.sh calls.

import { cpSync, readFileSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "../target/playground");
/** The largest page, compressed, in bytes. */
const LARGEST = 2_000_000;

rmSync(out, { recursive: true, force: true });
await build({
  entryPoints: [path.join(here, "page/main.js")],
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  loader: { ".obert": "text", ".yaml": "text" },
  legalComments: "linked",
  logLevel: "warning",
});
for (const file of ["index.html", "style.css"]) cpSync(path.join(here, "page", file), path.join(out, file));
cpSync(path.join(here, "pkg/obert_playground_bg.wasm"), path.join(out, "obert.wasm"));

let total = 0;
for (const file of readdirSync(out)) {
  const bytes = readFileSync(path.join(out, file));
  const compressed = gzipSync(bytes, { level: 9 }).length;
  total += compressed;
  console.log(`${file}: ${bytes.length} bytes, ${compressed} compressed`);
}
console.log(`all: ${total} bytes compressed`);
if (total > LARGEST) throw new Error(`the page is larger than ${LARGEST} bytes`);
