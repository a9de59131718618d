// Plays the recorded run on the page's own HTML until the program is there,
// which then goes on from `window.hrmDemo` in the same view.
"use strict";
(() => {
  const board = document.getElementById("board");
  const play = document.getElementById("play");
  const text = document.getElementById("segment-text");
  const slider = document.getElementById("segment");
  const commentary = document.querySelector(".commentary");
  const named = new URLSearchParams(location.hash.slice(1));
  const demo = window.hrmDemo;

  // An address that names something else gets its own puzzle, at rest.
  if (demo.done) {
    const cells = [...board.querySelectorAll(".cell")];
    const line = named.get("puzzle") ?? "";
    cells.forEach((cell, i) => {
      const digit = line.length === cells.length && "123456789".includes(line[i]) ? line[i] : "";
      cell.textContent = digit;
      cell.classList.toggle("given", digit !== "");
    });
    return;
  }

  const plural = (n, one, many) => (n === 0 ? `no ${one}` : n === 1 ? `1 ${one}` : `${n} ${many}`);

  // The cells that stand twice in a row, column or box.
  const clashes = (grid) => {
    const side = Math.sqrt(grid.length);
    const high = side === 6 ? 2 : Math.sqrt(side);
    const wide = side / high;
    const houses = Array.from({ length: 3 * side }, () => []);
    grid.forEach((digit, i) => {
      const row = Math.floor(i / side);
      const column = i % side;
      const box = Math.floor(row / high) * high + Math.floor(column / wide);
      for (const house of [row, side + column, 2 * side + box]) houses[house].push(i);
    });
    const found = new Set();
    for (const house of houses) {
      for (const i of house) {
        if (grid[i] !== 0 && house.some((j) => j !== i && grid[j] === grid[i])) found.add(i);
      }
    }
    return found;
  };

  const draw = (run) => {
    const reports = run.reports.slice(0, demo.frame);
    const last = reports.at(-1);
    const given = [...run.puzzle].map((c) => (c === "." ? 0 : Number(c)));
    const grid = last ? last.grid : given;
    const conflict = clashes(grid);
    const changed = new Set(last ? last.changed : []);
    const restless = new Set(reports.slice(-3).flatMap((r) => r.changed));
    [...board.querySelectorAll(".cell")].forEach((cell, i) => {
      cell.textContent = grid[i] === 0 ? "" : String(grid[i]);
      const mark = (name, holds) => cell.classList.toggle(name, holds);
      mark("given", given[i] !== 0 && grid[i] === given[i]);
      mark("overwritten", given[i] !== 0 && grid[i] !== given[i]);
      mark("changed", changed.has(i));
      mark("conflict", conflict.has(i));
      mark("settled", reports.length > 3 && given[i] === 0 && grid[i] !== 0 && !restless.has(i));
    });
    play.classList.toggle("playing", demo.playing);
    play.lastElementChild.textContent = demo.playing ? "Pause" : demo.frame > 0 ? "Go on" : "Play";
    text.textContent = last ? `Segment ${last.segment} of 16` : "The puzzle";
    slider.max = String(Math.max(demo.frame, 1));
    slider.value = String(demo.frame);
    if (last) {
      const cells = plural(last.changed.length, "cell changed", "cells changed");
      const said = last.changed.length === 0 ? "nothing changed" : cells;
      commentary.textContent = `Segment ${last.segment}: ${said}, ${plural(last.conflicts, "conflict", "conflicts")}.`;
    }
  };

  const start = async () => {
    const response = await fetch("demo.json");
    demo.text = await response.text();
    const recording = JSON.parse(demo.text);
    const reports = recording.events.flatMap((e) => (e.segment ? [e.segment.report] : []));
    const run = { puzzle: recording.puzzle, reports };
    const tick = () => {
      if (demo.done || !demo.playing || demo.frame >= reports.length) return;
      demo.frame += 1;
      draw(run);
      setTimeout(tick, 600);
    };
    const toggle = () => {
      if (demo.done) return;
      demo.playing = !demo.playing;
      draw(run);
      if (demo.playing) tick();
    };
    if (demo.done) return;
    play.disabled = false;
    play.addEventListener("click", toggle);
    // Who has asked for less motion presses play.
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
      demo.playing = true;
      draw(run);
      setTimeout(tick, 900);
    }
  };
  // Without the recording, the page waits for the program.
  demo.ready = start().catch(() => {});
})();
