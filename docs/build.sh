#!/usr/bin/env bash
# Builds the book and the playground as one site, target/book. CONTRIBUTING.md says what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
missing() { echo "docs/build.sh needs $1: $2" >&2; exit 1; }
command -v mdbook > /dev/null || missing mdbook "cargo install mdbook"
command -v npm > /dev/null || missing npm "install Node.js 20 or newer"
[ "$(wasm-bindgen --version 2> /dev/null)" = "wasm-bindgen $wanted" ] ||
  missing "wasm-bindgen $wanted" "cargo install wasm-bindgen-cli --version $wanted"

cargo build --locked -p obert-playground --lib --target wasm32-unknown-unknown --profile web
out=target/playground
mkdir -p "$out"
wasm-bindgen --target web --no-typescript --remove-name-section --out-dir playground/pkg \
  target/wasm32-unknown-unknown/web/obert_playground.wasm
[ -d playground/node_modules ] || (cd playground && npm ci --ignore-scripts)
(cd playground && node build.mjs)

mdbook build docs
# mdBook copies every file that is not a page.
rm -f target/book/build.sh target/book/book.toml
# mdBook colours the blocks before it loads the definition, and warns of a language that it does not know.
for script in target/book/highlight-*.js; do { echo; cat docs/highlight/obert.js; } >> "$script"; done
# Only the site has the playground; in the repository the link would lead nowhere.
sed -i.bak 's|<code>playground/index.html</code>|<a href="playground/index.html">the playground</a>|' \
  target/book/editors.html target/book/print.html
rm -f target/book/*.bak
rm -rf target/book/playground
cp -r "$out" target/book/playground
echo "target/book/index.html, target/book/playground/index.html"
