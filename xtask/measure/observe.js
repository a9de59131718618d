// Runs before the page: keeps what the browser times, in milliseconds from
// the navigation's start.
"use strict";
window.measured = { lcp: 0, recording: 0, engine: 0, tasks: [], events: [] };
{
  const on = (type, options, keep) =>
    new PerformanceObserver((list) => list.getEntries().forEach(keep)).observe({ type, buffered: true, ...options });
  on("largest-contentful-paint", {}, (entry) => (measured.lcp = entry.startTime));
  on("longtask", {}, (entry) => measured.tasks.push(entry.duration));
  // One press makes several events; the slowest is what its visitor waits for.
  const presses = new Map();
  on("event", { durationThreshold: 16 }, (entry) => {
    if (!entry.interactionId) return;
    presses.set(entry.interactionId, Math.max(presses.get(entry.interactionId) ?? 0, entry.duration));
    measured.events = [...presses.values()];
  });
  const look = setInterval(() => {
    const now = performance.now();
    if (window.hrmDemo?.playing) measured.recording ||= now;
    if (document.querySelector("#engine")?.dataset.model) measured.engine ||= now;
    if (measured.engine) clearInterval(look);
  }, 5);
}
