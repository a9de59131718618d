#!/usr/bin/env bash
# One job: does our own CUDA build run here, and how fast is it beside the PyTorch twin? Everything goes to OUT.
#   native_job.sh HRM OUT [PRESET BATCH STEPS DEVICE]      HRM: the binary, or packed as .xz
# Exit code 0 whenever it came to an end: result.json says what worked.
set -uo pipefail
hrm=${1:?usage: native_job.sh HRM OUT [PRESET BATCH STEPS DEVICE]} out=${2:?no OUT}
preset=${3:-hrm} batch=${4:-768} steps=${5:-20} device=${6:-cuda}
here=$(cd "$(dirname "$0")" && pwd)
twin=$here/../benches/pytorch
limit=${LIMIT_S:-120}   # seconds that one probe may take
mkdir -p "$out"

if [ "${hrm##*.}" = xz ]; then
  xz -dc "$hrm" > /tmp/hrm-native && hrm=/tmp/hrm-native && chmod +x "$hrm" || exit 1
fi

# cubecl's LLVM path wants CUDA's device library: $CUDA_PATH/nvvm/libdevice/libdevice.10.bc. A driver does not bring it,
# a toolkit or Triton's Python package does.
if [ ! -f "${CUDA_PATH:-/nowhere}/nvvm/libdevice/libdevice.10.bc" ]; then
  found=$(ls /usr/local/cuda*/nvvm/libdevice/libdevice.10.bc 2>/dev/null | head -1)
  [ -n "$found" ] || found=$(python3 - <<'PY'
import importlib.util, pathlib
for name in ("triton", "nvidia"):
    spec = importlib.util.find_spec(name)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in pathlib.Path(folder).rglob("libdevice.10.bc"):
            print(path)
            raise SystemExit
PY
)
  if [ -n "$found" ]; then
    export CUDA_PATH=/tmp/cuda-path
    mkdir -p "$CUDA_PATH/nvvm/libdevice"
    ln -sf "$found" "$CUDA_PATH/nvvm/libdevice/libdevice.10.bc"
  fi
fi

# probe NAME COMMAND…: runs it under the limit, keeps its output; its last line is what it measured.
probe() {
  local name=$1; shift
  timeout "$limit" "$@" > "$out/$name.json" 2> "$out/$name.log"
  local code=$?
  echo "$name: exit code $code; $(tail -n 1 "$out/$name.json" | cut -c1-300)"
  [ $code -eq 0 ] || tail -n 5 "$out/$name.log"
  return $code
}
ours=("$hrm" bench train --json --steps "$steps" --batch "$batch" --preset "$preset")
theirs=(python3 "$twin/bench.py" --preset "$preset" --batch "$batch" --steps "$steps" --device "$device")

{
  echo "CUDA_PATH=${CUDA_PATH-}"; uname -a; nvidia-smi 2>&1 | head -15
  python3 -c 'import torch; print("torch", torch.__version__, torch.cuda.is_available())' 2>&1
  "$hrm" --version
} > "$out/machine.txt" 2>&1
# A hundredth of the work first, in f32: does code generation work at all?
small=("$hrm" bench train --json --preset hrm-small --steps 3 --batch 8)
native=none
for d in "$device" wgpu; do
  probe "small-$d" "${small[@]}" --device "$d" && { native=$d; break; }
done
if [ "$native" != none ]; then
  for dtype in bf16 f32; do
    probe "native-$dtype-1" "${ours[@]}" --device "$native" --precision "$dtype"
  done
fi
fast=(--compile)
[ "$device" = cuda ] && fast+=(--graph)
probe twin-bfloat16-1 "${theirs[@]}" --dtype bfloat16 "${fast[@]}"
[ "$native" != none ] && probe native-bf16-2 "${ours[@]}" --device "$native" --precision bf16
probe twin-bfloat16-2 "${theirs[@]}" --dtype bfloat16 "${fast[@]}"
probe twin-eager "${theirs[@]}" --dtype bfloat16

python3 - "$out" "$native" <<'PY'
import json, pathlib, statistics, sys
out, native = pathlib.Path(sys.argv[1]), sys.argv[2]
runs = {}
for path in sorted(out.glob("*.json")):
    lines = path.read_text().strip().splitlines()
    try:
        runs[path.stem] = json.loads(lines[-1])
    except (IndexError, ValueError):
        runs[path.stem] = None
def median(prefix):
    found = [r["median_ms"] for name, r in runs.items() if r and name.startswith(prefix)]
    return statistics.median(found) if found else None
ours, theirs = median("native-bf16"), median("twin-bfloat16")
ratio = theirs / ours if ours and theirs else None
result = {"native_device": native, "native_bf16_ms": ours, "twin_ms": theirs, "speed_of_native": ratio, "runs": runs}
(out / "result.json").write_text(json.dumps(result, indent=1))
for path in out.glob("*-*.json"):
    path.unlink()  # all of them are in result.json: few files come back
for path in out.glob("*.log"):
    text = path.read_text()
    if text.strip():
        with (out / "errors.txt").open("a") as f:
            f.write(f"== {path.name}\n{text[-20000:]}\n")
    path.unlink()
print(json.dumps({k: v for k, v in result.items() if k != "runs"}))
PY
exit 0
