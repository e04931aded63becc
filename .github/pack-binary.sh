#!/usr/bin/env bash
# pack-binary.sh TARGET TAG: packs obertc with its completions and man pages into dist/.
set -euo pipefail
target=$1
name="obertc-$2-$target"
built="${CARGO_TARGET_DIR:-target}/$target/release"
program="$built/obertc"
[ -e "$program" ] || program="$program.exe"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "dist" "$work/$name/completions"
cp README.md LICENSE CHANGELOG.md "$program" "$work/$name/"
for shell in bash zsh fish powershell elvish; do
  "$program" completions "$shell" > "$work/$name/completions/obertc.$shell"
done
"$program" man "$work/$name/man"
"$program" --version --verbose
case "$target" in
  *windows*) (cd "$work" && 7z a -bso0 "$OLDPWD/dist/$name.zip" "$name") ;;
  *) tar -C "$work" -czf "dist/$name.tar.gz" "$name" ;;
esac
ls -l dist
