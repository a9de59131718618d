// Runs before anything is painted: the chosen colours, then the page's wasm.
"use strict";
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's colours do.
  }

  const parsed = new Promise((resolve) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
    else resolve();
  });

  const fail = async (message, detail) => {
    await parsed;
    const box = document.createElement("div");
    box.className = "failure";
    box.setAttribute("role", "alert");
    const text = document.createElement("p");
    text.textContent = message;
    box.append(text);
    if (detail) {
      const small = document.createElement("p");
      small.className = "detail";
      small.textContent = String(detail);
      box.append(small);
    }
    document.getElementById("app").replaceChildren(box);
  };

  const start = async () => {
    if (typeof WebAssembly !== "object") {
      return fail("This browser has no WebAssembly (or it is switched off), which the network needs to run. A current Firefox, Chrome, Edge or Safari has it.");
    }
    try {
      const [page] = await Promise.all([import("./playground.js"), parsed]);
      await page.default();
    } catch (error) {
      console.error(error);
      await fail("The page's program could not be started. Reloading may help; if it doesn't, this browser may be too old.", error);
    }
  };
  start();
})();
