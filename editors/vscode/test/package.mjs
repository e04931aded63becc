// The extension's own functions, and what its package holds: `node test/package.mjs` after `npm run package`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const { findProgram } = require("../src/program.js");
const { planPage } = require("../src/plan_page.js");

const present = (...files) => (file) => files.includes(file);
const name = process.platform === "win32" ? "obertc.exe" : "obertc";
const inPath = path.join("/b", name);
const environment = { PATH: ["/a", "/b"].join(path.delimiter) };
assert.equal(findProgram("", environment, "/home/x", present(inPath)), inPath);
assert.equal(findProgram("", {}, "/home/x", present(path.join("/home/x", ".cargo", "bin", name))), path.join("/home/x", ".cargo", "bin", name));
assert.equal(findProgram("", environment, "/home/x", present()), undefined);
assert.equal(findProgram("~/obertc", environment, "/home/x", present("/home/x/obertc")), "/home/x/obertc");
assert.equal(findProgram("/no/obertc", environment, "/home/x", present(inPath)), undefined, "a wrong setting is no fallback");

assert.match(planPage('<?xml version="1.0"?><svg></svg>', ""), /<body><svg><\/svg><\/body>/);
assert.match(planPage(undefined, "a < b"), /<pre>a &lt; b<\/pre>/);

// The bundled extension with an editor that records what it is asked: without `obertc` the user is told so.
const asked = [];
const editor = new Proxy({}, {
  get: (_, name) => {
    if (name === "commands") return { registerCommand: (command) => asked.push(command) };
    if (name === "workspace") {
      return { getConfiguration: () => ({ get: () => "/no/obertc" }), onDidChangeConfiguration: () => ({}) };
    }
    if (name === "window") {
      return { showErrorMessage: async (message) => { asked.push(message); } };
    }
    return class {};
  },
});
const Module = require("node:module");
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? editor : load(name, ...rest));
await require("../dist/extension.js").activate({ subscriptions: [] });
Module._load = load;
assert.deepEqual(asked, [
  "obert.showPlan",
  "obert.restart",
  "obert: the program `/no/obertc` of the setting obert.path does not exist",
]);

const vsix = path.resolve(here, "../../../target/obert.vsix");
const files = execFileSync("unzip", ["-Z1", vsix], { encoding: "utf8" }).trim().split("\n").sort();
assert.deepEqual(files, [
  "[Content_Types].xml",
  "extension.vsixmanifest",
  "extension/LICENSE.txt",
  "extension/dist/extension.js",
  "extension/images/file.svg",
  "extension/images/icon.png",
  "extension/language-configuration.json",
  "extension/package.json",
  "extension/readme.md",
  "extension/snippets/obert.json",
  "extension/syntaxes/markdown.tmLanguage.json",
  "extension/syntaxes/obert.tmLanguage.json",
].sort());
const manifest = JSON.parse(readFileSync(path.join(here, "../package.json"), "utf8"));
// Commands of the menus are registered above; the server's `obertc.plan` is registered by the client's library.
const declared = manifest.contributes.commands.map((command) => command.command);
assert.deepEqual(declared.sort(), asked.slice(0, 2).sort());
const capabilities = readFileSync(path.join(here, "../../../src/lsp/capabilities.rs"), "utf8");
const [, lens] = capabilities.match(/const PLAN: &str = "(.*)"/);
assert.ok(readFileSync(path.join(here, "../src/extension.js"), "utf8").includes(`name !== "${lens}"`), `the command ${lens} shows the chart`);
assert.ok(!declared.includes(lens), "the client's library would register it a second time");
for (const file of [manifest.main, manifest.icon, ...manifest.contributes.grammars.map((g) => g.path)]) {
  statSync(path.join(here, "..", file));
}
console.log(`the package holds ${files.length} files, ${statSync(vsix).size} bytes`);
