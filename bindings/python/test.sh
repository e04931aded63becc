#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment and runs its tests.
#
#     bindings/python/test.sh [--release] [MATURIN ARGUMENTS...]
#
# Without --release the development profile is used, whose dependencies `cargo test` has compiled. OBERT_WHEELS names a
# folder in which the wheel is kept. `--no-default-features` builds the package without training and serving.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wheels=${OBERT_WHEELS:-$work/wheels}

python3 -m venv "$work/build"
"$work/build/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9,<2.0'
profile=(--profile dev)
if [ "${1:-}" = --release ]; then
  profile=(--release)
  shift
fi
"$work/build/bin/maturin" build --quiet --locked --out "$wheels" "${profile[@]}" "$@"

wheel=$(find "$wheels" -name 'obert-*.whl' -newer "$work/build")
python3 -m venv "$work/test"
"$work/test/bin/pip" install --quiet --disable-pip-version-check pytest mypy "$wheel"
# From another folder, so that the installed package is imported.
cd "$work"
"$work/test/bin/python" -m pytest --quiet -p no:cacheprovider "$OLDPWD/tests"
"$work/test/bin/python" -m mypy --strict "$OLDPWD/tests/typed.py"
ls -l "$wheel"
