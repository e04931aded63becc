#!/usr/bin/env bash
# Builds the C library, checks that its header is current, and runs the C test with the shared and the static library,
# and under valgrind if there is one.
#
#     bindings/c/test.sh [--release]
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=debug
if [ "${1:-}" = --release ]; then
  profile=release
fi
cargo test --locked -p obert-c "$@"
cargo build --locked -p obert-c "$@"
out=${CARGO_TARGET_DIR:-target}/$profile
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags=(-std=c11 -Wall -Wextra -Werror -O1 -g -I bindings/c/include bindings/c/tests/test.c)
cc "${flags[@]}" -o "$work/shared" -L "$out" -lobert_c -lm -lpthread -Wl,-rpath,"$(realpath "$out")"
"$work/shared" "$PWD"
cc "${flags[@]}" -o "$work/static" "$out/libobert_c.a" -lm -lpthread -ldl
"$work/static" "$PWD"
# The header is C++ too.
if command -v c++ > /dev/null; then
  echo '#include "obert.h"' > "$work/header.cpp"
  c++ -Wall -Wextra -Werror -I bindings/c/include -fsyntax-only "$work/header.cpp"
fi
if command -v valgrind > /dev/null; then
  valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$work/shared" "$PWD"
fi
ls -l "$out"/libobert_c.*
