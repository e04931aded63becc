#!/usr/bin/env bash
# pack-library.sh TARGET TAG: builds the C library and packs it with its header into dist/.
set -euo pipefail
target=$1
name="libobert_c-$2-$target"
cargo build --locked --release -p obert-c --target "$target"
built="${CARGO_TARGET_DIR:-target}/$target/release"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "dist" "$work/$name/lib" "$work/$name/include"
cp bindings/c/include/obert.h "$work/$name/include/"
cp bindings/c/README.md LICENSE "$work/$name/"
for file in libobert_c.so libobert_c.dylib libobert_c.a obert_c.dll obert_c.dll.lib obert_c.lib; do
  [ ! -e "$built/$file" ] || cp "$built/$file" "$work/$name/lib/"
done
test -n "$(ls "$work/$name/lib")"
tar -C "$work" -czf "dist/$name.tar.gz" "$name"
ls -l dist
