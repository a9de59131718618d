#!/usr/bin/env bash
# Builds `hrm` with CUDA and packs it to be carried: pack_native.sh OUT.xz [--no-build]
# What the build needs (LLVM, no CUDA): see README.md.
set -euo pipefail
out=${1:?usage: pack_native.sh OUT.xz [--no-build]}
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
if [ "${2-}" != --no-build ]; then
  CUDARC_CUDA_VERSION=${CUDARC_CUDA_VERSION:-13000} cargo build --release -p hrm-trainer --features cuda
fi
mkdir -p "$(dirname "$out")"
stripped=$(mktemp)
strip -o "$stripped" "$target/release/hrm"
xz -T0 -9 -c "$stripped" > "$out"
rm "$stripped"
bytes=$(stat -c %s "$out")
echo "$out: $bytes bytes"
[ "$bytes" -lt $((50 << 20)) ] || { echo "more than 50 MiB: too large to carry" >&2; exit 1; }
