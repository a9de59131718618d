// Milliseconds a segment of this project's engines and of onnxruntime-web, on
// the same random weights and blank puzzles, in turn within every repetition.
// What to measure is in the address; the result is left in `window.result`.

import init, { Subject } from "./ours.js";
import * as ort from "./ort/ort.webgpu.min.mjs";

const wishes = new URLSearchParams(location.search);
const preset = wishes.get("preset");
const batch = Number(wishes.get("batch"));
const repetitions = Number(wishes.get("repetitions"));

// One of ours: `cpu-q8`, `gpu-f32` …
async function ours(name) {
  const [engine, scheme] = name.split("-");
  const subject = await Subject.start(preset, engine, scheme, batch);
  return {
    run: () => subject.segment(),
    facts: { weight_bytes: subject.bytes, dispatches: subject.dispatches || undefined },
  };
}

// One of theirs: `ort-wasm`, `ort-webgpu`, `ort-wasm-int8`.
async function theirs(name) {
  const [, provider, kind] = name.split("-");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./ort/", location.href).href;
  const file = kind === "int8" ? "model.int8.onnx" : "model.onnx";
  const session = await ort.InferenceSession.create(file, {
    executionProviders: [provider],
    graphOptimizationLevel: "all",
  });
  const config = await (await fetch("config.json")).json();
  // A relational model has a position a (cell, symbol), and is given its last answer.
  const relational = config.token_mixer === "relations";
  const symbols = Math.sqrt(config.seq_len);
  const positions = relational
    ? config.seq_len * symbols
    : config.seq_len + (config.puzzle_emb_ndim > 0 ? 1 : 0);
  const shape = [batch, positions, config.hidden_size];
  const state = () => {
    const values = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, Math.random);
    return new ort.Tensor("float32", values, shape);
  };
  const cells = BigInt64Array.from({ length: batch * config.seq_len }, () => 1n);
  const feeds = {
    tokens: new ort.Tensor("int64", cells, [batch, config.seq_len]),
    z_H: state(),
    z_L: state(),
  };
  if (config.feedback) {
    const last = new Float32Array(batch * positions).fill(1 / symbols);
    feeds.last = new ort.Tensor("float32", last, [batch, config.seq_len, symbols]);
  }
  return { run: () => session.run(feeds), facts: {} };
}

async function measure() {
  await init();
  const subjects = [];
  for (const name of wishes.get("engines").split(",")) {
    const start = performance.now();
    const subject = await (name.startsWith("ort") ? theirs(name) : ours(name));
    await subject.run();
    subjects.push({ name, first: performance.now() - start, times: [], ...subject });
  }
  for (let i = 0; i < repetitions; i++) {
    for (const subject of subjects) {
      const start = performance.now();
      await subject.run();
      subject.times.push(performance.now() - start);
    }
  }
  return subjects.map(({ name, first, times, facts }) => {
    times.sort((a, b) => a - b);
    return {
      engine: name,
      preset,
      batch,
      repetitions,
      median_ms: times[times.length >> 1],
      min_ms: times[0],
      max_ms: times[times.length - 1],
      first_ms: first,
      ...facts,
    };
  });
}

measure().then(
  (result) => (window.result = { result, agent: navigator.userAgent, ort: ort.env.versions }),
  (error) => (window.result = { error: `${error}` }),
);
