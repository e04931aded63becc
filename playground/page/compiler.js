// The compiler: obert's language as WebAssembly.

import init, * as wasm from "../pkg/obert_playground.js";

/** Loads the compiler. */
export async function load() {
  await init({ module_or_path: new URL("obert.wasm", import.meta.url) });
  const call = (name) => (...values) => JSON.parse(wasm[name](...values));
  return {
    check: call("check"),
    format: call("format"),
    explain: call("explain"),
    importYaml: call("import_yaml"),
    plan: call("plan"),
  };
}
