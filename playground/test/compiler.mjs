// The compiler as WebAssembly, without a browser: no text of the corpora and no nesting exhausts its stack.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import * as wasm from "../pkg/obert_playground.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "../..");
wasm.initSync({ module: readFileSync(path.join(here, "../pkg/obert_playground_bg.wasm")) });
const check = (text) => JSON.parse(wasm.check(text));

/** The files below a folder whose names end so. */
function* files(folder, end) {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* files(name, end);
    else if (end.test(name)) yield [name, readFileSync(path.join(root, name), "utf8")];
  }
}

let plans = 0;
let texts = 0;
for (const [name, text] of [...files("stdlib_recipes", /\.obert$/), ...files("tests/corpus", /\.obert$/)]) {
  const checked = check(text);
  for (const { place } of checked.findings) {
    assert.ok(!place || (place.from <= place.to && place.to <= text.length), name);
  }
  const planned = JSON.parse(wasm.plan(text, 100));
  assert.equal(planned !== null, checked.has_plan, name);
  if (planned) plans += 1;
  const formatted = JSON.parse(wasm.format(text)).text;
  if (formatted !== null) assert.equal(JSON.parse(wasm.format(formatted)).text, formatted, name);
  texts += 1;
}
for (const [name, text] of files("tests/corpus/yaml", /\.ya?ml$/)) {
  const imported = JSON.parse(wasm.import_yaml(text));
  assert.equal(imported.text === null, imported.findings.some((f) => f.severity === "error"), name);
  texts += 1;
}
assert.ok(texts > 300 && plans > 30, `${texts} texts, ${plans} plans`);

const codes = readdirSync(path.join(root, "src/explain/pages")).map((name) => name.replace(".md", ""));
for (const code of codes) assert.ok(JSON.parse(wasm.explain(code))?.includes(code), code);

for (const [open, close] of [["(", ")"], ["f(x: ", ")"], ["[-1 + ", "]"]]) {
  const nested = (depth) => check(`edition 2026\nlet a = ${open.repeat(depth)}1${close.repeat(depth)}\n`).findings;
  assert.deepEqual(nested(64).filter((f) => f.severity === "error"), [], open);
  assert.equal(nested(65)[0].code, "OB0105", open);
}
assert.equal(check("x".repeat(5 << 20)).findings[0].code, "OB0003");
console.log(`${texts + codes.length + 4} passed, 0 failed`);
