// Makes the page work offline: keeps one version of its files, as they were
// built together, and answers from them. The build fills in the next two lines.
"use strict";
const VERSION = "dev";
const FILES = [];
// What few visitors need, kept when it is first used.
const LATER = /\/import[^/]*\.(js|wasm)$/;
const CACHE = `hrm-page-${VERSION}`;

self.addEventListener("install", (event) => {
  const fill = async () => {
    const cache = await caches.open(CACHE);
    // From the server, not from the browser's own cache: all of one build.
    await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("hrm-page-") && name !== CACHE) await caches.delete(name);
    }
  };
  event.waitUntil(clean());
});

// A newer version waits until the page asks for it, so that no page is made of
// two.
self.addEventListener("message", (event) => {
  if (event.data === "take-over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  // Whatever the page is called with, it is one file.
  const page = event.request.mode === "navigate";
  const answer = async () => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(page ? "./" : url.pathname);
    if (kept) return kept;
    const fetched = await fetch(event.request);
    if (fetched.ok && LATER.test(url.pathname)) await cache.put(url.pathname, fetched.clone());
    return fetched;
  };
  event.respondWith(answer());
});
