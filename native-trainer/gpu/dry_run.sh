#!/usr/bin/env bash
# Both chains at tiny scale on a CPU, end to end: pack, train, carry the parts to a "fresh machine", be killed, continue,
# evaluate, export, and read the result with our own engine. About five minutes on two cores.
#   dry_run.sh HRM WORK [CSV]       HRM: the hrm binary; CSV: puzzles (default: generated ones)
set -euo pipefail
hrm=${1:?usage: dry_run.sh HRM WORK [CSV]} work=${2:?no WORK} csv=${3-}
here=$(cd "$(dirname "$0")" && pwd)
twin=$here/../benches/pytorch
python=${PYTHON:-python3}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$work"
say() { echo "== $*"; }

say "the twin computes what the references say"
$python "$twin/parity.py"

if [ -z "$csv" ]; then
  csv=$work/puzzles.csv
  "$hrm" data generate --difficulty easy --count 300 --seed 1 --output "$csv"
fi
$python "$twin/pack.py" "$work/puzzles.npz" "train=$csv" "test=$csv"

for model in compact-tiny hrm-tiny; do
  d=$work/$model
  rm -rf "$d"
  job() { $python "$twin/train.py" --data "$work/puzzles.npz" --device cpu --reserve 2 --log-steps 10 --part-mib 0.1 \
    "$@" | tail -2; }
  say "$model: first job"
  job --model $model --batch 16 --state "$d/one" --log "$d/logs" --minutes 0.4 --until 0.4
  say "$model: its state comes back in two slices, and goes to a fresh machine"
  $python "$twin/carry.py" "$d/one" "$d/back" --slice 0/2 > /dev/null
  $python "$twin/carry.py" "$d/one" "$d/back" --slice 1/2
  say "$model: second job, killed in the middle"
  $python "$twin/train.py" --data "$work/puzzles.npz" --device cpu --from "$d/back" --state "$d/two" --log "$d/logs" \
    --minutes 5 --until 0.7 --save-minutes 0.05 --log-steps 10 > "$d/killed.txt" &
  pid=$!
  for _ in $(seq 120); do [ -f "$d/two/state.json" ] && break; sleep 1; done
  kill -9 $pid; wait $pid 2> /dev/null || true
  say "$model: the job after it goes on from what the killed one had saved"
  job --from "$d/back" --state "$d/two" --log "$d/logs" --minutes 0.4 --until 1
  $python - "$d" <<'PY'
import json, pathlib, sys
d = pathlib.Path(sys.argv[1])
one, two = (json.loads((d / name / "state.json").read_text())["facts"] for name in ("one", "two"))
starts = sorted(int(p.stem.split("-")[1]) for p in (d / "logs").glob("log-*.jsonl"))
assert starts[0] == 0 and starts[1] == one["step"] < starts[2] < two["step"], (starts, one, two)
assert two["progress"] == 1 and two["jobs"] == 3, two
print("steps at the starts of the jobs:", starts, "and at the end:", two["step"])
PY
  say "$model: evaluation with every rule, from the averaged weights alone"
  $python "$twin/carry.py" "$d/two" "$d/average" --average
  $python "$twin/evaluate.py" --state "$d/average" --data "$work/puzzles.npz" --device cpu --rows 40 --filled 0.9 \
    --guesses 1 9 --segments 4 --out "$d/filled.json" | tail -7
  $python "$twin/evaluate.py" --state "$d/two" --data "$work/puzzles.npz" --device cpu --dtype float32 --rows 40 \
    --guesses 1 --segments 4 --out "$d/plain.json" > /dev/null
  say "$model: exported, imported, and the same share of cells right by our engine"
  $python "$twin/export.py" "$d/two" "$d/export"
  "$hrm" import "$d/export" "$d/imported"
  "$hrm" eval --checkpoint "$d/imported" --data "$csv" --limit 40 --segments 4 --json > "$d/native.json"
  $python - "$d" <<'PY'
import json, pathlib, sys
d = pathlib.Path(sys.argv[1])
ours = json.loads((d / "native.json").read_text())
theirs = json.loads((d / "plain.json").read_text())["cases"][0]
print("cells right:", ours["cells"], theirs["cells"], "by segment:", ours["by_segment"], theirs["by_segment"])
assert abs(ours["cells"] - theirs["cells"]) < 2e-3 and ours["by_segment"] == theirs["by_segment"]
PY
done
say "both chains came to their end"
