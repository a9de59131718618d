#!/usr/bin/env bash
# One job: how fast are the WGSL kernels on this GPU through Vulkan, and what share of its peak is that?
#   engine_job.sh HRM OUT [CHECKPOINT [PUZZLES.csv]]      HRM: the binary, or packed as .xz
# result.json: milliseconds a segment, dispatches and bytes by batch, scheme and form of the kernels, the peaks that
# PyTorch reaches on the same card in the same job, and the shares. With a checkpoint, that network too, and whether the
# GPU reads the puzzles as the CPU does. Exit code 0 whenever it came to an end. A dry run on a software GPU, in minutes:
#   PRESET=hrm-small BATCHES=1,9 FORM_BATCHES=1 REPETITIONS=2 ROWS=20 engine_job.sh HRM OUT models/compact-9x9 PUZZLES.csv
set -uo pipefail
hrm=${1:?usage: engine_job.sh HRM OUT [CHECKPOINT [PUZZLES.csv]]} out=${2:?no OUT}
checkpoint=${3-} puzzles=${4-}
preset=${PRESET:-hrm} batches=${BATCHES:-1,9,90,1681} repetitions=${REPETITIONS:-10} schemes=${SCHEMES:-q8,q4,f16,f32}
kernels=${KERNELS:-tiled,half,packed} form_batches=${FORM_BATCHES:-1,90}   # forms of the kernels, compared in q8
limit=${LIMIT_S:-120}   # seconds that one probe may take
rows=${ROWS:-200}       # puzzles read on both
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}   # unset, the window system is missed loudly
mkdir -p "$out"

if [ "${hrm##*.}" = xz ]; then
  xz -dc "$hrm" > /tmp/hrm-engine && hrm=/tmp/hrm-engine && chmod +x "$hrm" || exit 1
fi

# Vulkan's loader looks in a few folders for a driver; containers have NVIDIA's elsewhere.
if ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json > /dev/null 2>&1; then
  driver=$(find / -xdev -name 'nvidia_icd*.json' -not -path '/proc/*' 2>/dev/null | head -1)
  [ -n "$driver" ] && export VK_DRIVER_FILES=$driver
fi
{
  echo "VK_DRIVER_FILES=${VK_DRIVER_FILES-}"; uname -a; nvidia-smi 2>&1 | head -15
  ldconfig -p | grep -i vulkan || echo "no Vulkan loader (libvulkan.so.1): bring one"
  "$hrm" --version
} > "$out/machine.txt" 2>&1

# probe NAME COMMAND…: runs it under the limit; every line that it prints is a result of its own, and stays.
probe() {
  local name=$1; shift
  timeout "$limit" "$@" > "$out/$name.lines" 2> "$out/$name.log"
  local code=$?
  echo "$name: exit code $code, $(wc -l < "$out/$name.lines") results"
  [ $code -eq 0 ] || tail -n 5 "$out/$name.log"
}
bench=("$hrm" bench engine --json --device wgpu --repetitions "$repetitions")
# Each by itself: one that fails or takes too long leaves the others. First every scheme in the form of the kernels that
# a trial finds fastest, then the forms beside each other, at small batches only: the job has minutes.
for scheme in ${schemes//,/ }; do
  probe "$preset-$scheme" "${bench[@]}" --preset "$preset" --scheme "$scheme" --batch "$batches"
done
for form in ${kernels//,/ }; do
  probe "$preset-q8-$form" "${bench[@]}" --preset "$preset" --scheme q8 --kernels "$form" --batch "$form_batches"
done
if [ -n "$checkpoint" ]; then
  probe checkpoint "${bench[@]}" --checkpoint "$checkpoint" --batch "$batches"
fi
if [ -n "$puzzles" ]; then
  for device in wgpu cpu; do
    timeout "$limit" "$hrm" eval --checkpoint "$checkpoint" --device $device --data "$puzzles" --limit "$rows" \
      --output "$out/eval-$device.json" > "$out/eval-$device.log" 2>&1 || echo "eval on $device: exit code $?"
  done
fi

# What the card can do: the fastest square matrix product of 1,024 to 8,192, f32 without TF32, f16 on the matrix units.
cat > "$out/peak.py" <<'PY'
import json, time
try:
    import torch
    assert torch.cuda.is_available(), "no CUDA device"
except Exception as error:
    print(json.dumps({"error": str(error)}))
    raise SystemExit
torch.backends.cuda.matmul.allow_tf32 = False
peaks = {"card": torch.cuda.get_device_name(), "torch": torch.__version__}
for name, dtype in (("f32", torch.float32), ("f16", torch.float16)):
    best = 0.0
    for n in (1024, 2048, 4096, 8192):
        a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        for _ in range(3):
            a @ b
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            a @ b
        torch.cuda.synchronize()
        best = max(best, 10 * 2 * n**3 / (time.perf_counter() - start))
    peaks[f"{name}_gflops"] = best / 1e9
print(json.dumps(peaks))
PY
timeout "$limit" python3 "$out/peak.py" > "$out/peak.json" 2>> "$out/peak.log"
rm "$out/peak.py"

python3 - "$out" <<'PY'
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
try:
    peaks = json.loads((out / "peak.json").read_text())
except ValueError:
    peaks = {"error": "see peak.log"}
runs = []
for path in sorted(out.glob("*.lines")):
    for line in path.read_text().splitlines():
        run = json.loads(line) | {"of": path.stem}
        for name in ("f32", "f16"):
            if peak := peaks.get(f"{name}_gflops"):
                run[f"share_of_{name}_peak"] = run["gflops"] / peak
        runs.append(run)
    path.unlink()
solved = {}
for device in ("wgpu", "cpu"):
    path = out / f"eval-{device}.json"
    if path.is_file():
        of = dict(json.loads(path.read_text())["rules"])["single"]
        solved[device] = {key: of[key] for key in ("successes", "n")}
(out / "result.json").write_text(json.dumps({"peaks": peaks, "runs": runs, "solved": solved}, indent=1))
for log in out.glob("*.log"):
    if not log.read_text().strip():
        log.unlink()
for run in runs:
    shares = ", ".join(f"{run[k]:.1%} of {k[9:12]}" for k in run if k.startswith("share_of"))
    print(f"{run['of']}: {run['scheme']}, {run.get('kernels')} kernels, batch {run['batch']}: {run['median_ms']:.2f} ms, {run['gflops']:.0f} GFLOP/s {shares}")
if solved:
    print("solved:", json.dumps(solved))
PY
exit 0
