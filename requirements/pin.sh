#!/bin/sh
# Pin requirements: versions and hashes of all files, for every system and Python from 3.11 on, and no index.
# Use: pin.sh OUTPUT [anything that `uv pip compile` takes] INPUT
# Versions already in OUTPUT stay where they still fit, and so do the comment lines that it begins with.
set -eu
output=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -f "$output" ]; then
  cp "$output" "$work/pins.txt"
  sed '/^[^#]/,$d' "$output" >"$work/head.txt"
else
  : >"$work/head.txt"
fi
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --no-annotate --output-file "$work/pins.txt" "$@" >/dev/null
cat "$work/head.txt" "$work/pins.txt" >"$output"
