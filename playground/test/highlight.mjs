// The definition for highlight.js, on recipes of the repository: `node test/highlight.mjs`.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import hljs from "highlight.js/lib/core";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const source = readFileSync(path.join(root, "docs/highlight/obert.js"), "utf8");
const module = { exports: {} };
new Function("module", "hljs", source)(module, undefined);
hljs.registerLanguage("obert", module.exports);

const html = (text) => hljs.highlight(text, { language: "obert" }).value;
const span = (kind, text) => `<span class="hljs-${kind}">${text}</span>`;

const recipe = html('## A set.\nparam x: ratio = 90% in 1%..3%\nprune a over 0..2 epochs { # b\n  by: obs(damp: 1e-7)\n  to: re"a.*"\n}\nallow OB0701');
for (const [kind, text] of [
  ["doctag", "## A set."], ["keyword", "param"], ["type", "ratio"], ["number", "90%"], ["keyword", "in"],
  ["keyword", "prune"], ["keyword", "over"], ["number", "2 epochs"], ["comment", "# b"], ["attr", "by"],
  ["title", "obs"], ["attr", "damp"], ["number", "1e-7"], ["regexp", "re&quot;a.*&quot;"], ["symbol", "OB0701"],
]) {
  assert.ok(recipe.includes(span(kind, text)), `${kind} ${text} is not in ${recipe}`);
}

let recipes = 0;
for (const folder of ["tests/corpus/good", "stdlib_recipes/paper", "stdlib_recipes/std", "stdlib_recipes/starters"]) {
  for (const name of readdirSync(path.join(root, folder)).filter((n) => n.endsWith(".obert"))) {
    const coloured = html(readFileSync(path.join(root, folder, name), "utf8"));
    assert.ok(coloured.includes(span("keyword", "edition")) || coloured.includes(span("keyword", "let")), name);
    recipes += 1;
  }
}
console.log(`${recipes + 1} passed, 0 failed`);
