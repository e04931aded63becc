// The TextMate grammar against recorded scopes of recipes from the corpora: `node test/grammar.mjs`. With `-u` the
// scopes are recorded again; read the diff.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../../..");
const update = process.argv.includes("-u");
const snapshots = path.join(here, "scopes");
const work = path.join(root, "target/vscode-grammar");

const good = readdirSync(path.join(root, "tests/corpus/good")).map((name) => `tests/corpus/good/${name}`);
const recipes = [
  ...good,
  "stdlib_recipes/quickstart.obert",
  "stdlib_recipes/compound.obert",
  "stdlib_recipes/std/obert.obert",
  "stdlib_recipes/std/bert.obert",
  "stdlib_recipes/starters/quantized.obert",
  "stdlib_recipes/paper/30epochs_4block80_squad.obert",
  "tests/corpus/bad/OB0109_unknown_escape.obert",
  "editors/vscode/test/forms.obert",
];

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
mkdirSync(snapshots, { recursive: true });
for (const recipe of recipes) {
  const name = path.basename(recipe);
  copyFileSync(path.join(root, recipe), path.join(work, name));
  const recorded = path.join(snapshots, `${name}.snap`);
  if (existsSync(recorded) && !update) copyFileSync(recorded, path.join(work, `${name}.snap`));
  else if (!update) throw new Error(`${name} has no recorded scopes: node test/grammar.mjs -u`);
}
const tool = path.join(here, "../node_modules/.bin/vscode-tmgrammar-snap");
const grammar = path.join(here, "../syntaxes/obert.tmLanguage.json");
const args = ["-g", grammar, "-s", "source.obert", path.join(work, "*.obert")];
execFileSync(tool, update ? ["-u", ...args] : args, { stdio: "inherit", cwd: path.join(here, "..") });
if (update) {
  for (const recipe of recipes) {
    const name = `${path.basename(recipe)}.snap`;
    copyFileSync(path.join(work, name), path.join(snapshots, name));
  }
}
console.log(`${recipes.length} recipes have the recorded scopes`);
