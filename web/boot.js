// Runs before anything is painted: the chosen colours, then the page's wasm.
"use strict";
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's colours do.
  }

  // The recorded run is wanted early, where the address names nothing else.
  const named = new URLSearchParams(location.hash.slice(1));
  const done = ["puzzle", "model", "tour"].some((key) => named.has(key));
  window.hrmDemo = { text: null, frame: 0, playing: false, done };
  if (!done) {
    const early = document.createElement("link");
    Object.assign(early, { rel: "preload", href: "demo.json", as: "fetch", crossOrigin: "anonymous" });
    document.head.append(early);
  }

  // A link followed before the program is there names something else, too.
  addEventListener("hashchange", () => {
    const now = new URLSearchParams(location.hash.slice(1));
    if (["puzzle", "model", "tour"].some((key) => now.has(key))) window.hrmDemo.done = true;
  });

  // Files for the person; what makes them is fetched when it is wanted.
  const files = (use) => import("./picture.js").then(use).catch((error) => console.error(error));
  const brought = (use) => import("./bring.js").then(use).catch((error) => console.error(error));
  let live = false;
  window.hrmFiles = {
    save: (...what) => files((module) => module.save(...what)),
    download: (...what) => files((module) => module.download(...what)),
    // Files from the person, of a drop or of a list. What a drop holds can be
    // asked for while its event lasts, and not later.
    take: (from, keeper, base, hear) => {
      const entry = (item) => item.webkitGetAsEntry?.() ?? item.getAsFile();
      const own = (file) => (file.webkitRelativePath ?? "").split("/").length < 3;
      const items = from.items ? [...from.items].map(entry) : [...from].filter(own);
      const text = from.getData?.("text/plain");
      if (items.some(Boolean)) brought((module) => module.take(items.filter(Boolean), keeper, base, hear));
      else if (text) hear(text);
    },
    callOff: () => brought((module) => module.callOff()),
  };

  const parsed = new Promise((resolve) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
    else resolve();
  });

  // A puzzle from the clipboard; before the program is there it becomes the
  // address, as a link's does. Where a page may not read the clipboard, there is
  // a field to paste into.
  const paste = async () => {
    const text = await navigator.clipboard.readText().catch(() => "");
    if (live && text.trim() !== "") {
      // The program reads whatever is pasted.
      const event = new Event("paste", { bubbles: true, cancelable: true });
      Object.defineProperty(event, "clipboardData", { value: { getData: () => text } });
      document.body.dispatchEvent(event);
      return;
    }
    if (text.trim() !== "") {
      location.hash = `#puzzle=${encodeURIComponent(text.trim())}`;
      return;
    }
    const field = document.getElementById("text");
    field?.closest("details")?.setAttribute("open", "");
    field?.focus();
  };
  parsed.then(() => {
    document.getElementById("paste")?.addEventListener("click", paste);
    for (const list of document.querySelectorAll(".famous")) {
      list.addEventListener("click", (event) => {
        if (event.target.closest("a")) list.open = false;
      });
    }
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
    // Above the recorded run, which needs no program.
    document.getElementById("app").prepend(box);
  };

  const start = async () => {
    if (typeof WebAssembly !== "object") {
      return fail("This browser has no WebAssembly (or it is switched off), which the network needs to run. A current Firefox, Chrome, Edge or Safari has it.");
    }
    try {
      // The program goes on from the recorded run, so that comes first, unless
      // it is late.
      const late = new Promise((resolve) => setTimeout(resolve, 1000));
      const demo = Promise.race([window.hrmDemo?.ready, late]);
      const [page] = await Promise.all([import("./playground.js"), demo]);
      await page.default();
      live = true;
    } catch (error) {
      console.error(error);
      await fail("The page's program could not be started. Reloading may help; if it doesn't, this browser may be too old.", error);
    }
  };
  // What is drawn without the program is shown first. A page in the background
  // paints nothing, and does not wait for it.
  const painted = new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
    setTimeout(resolve, 500);
  });
  Promise.all([parsed, painted]).then(start);

  // The room of training is a program of its own, fetched when it is first
  // opened. What it draws is kept while another room is open, and goes on.
  let training;
  const openTraining = () => {
    const room = document.createElement("div");
    const styles = document.createElement("link");
    Object.assign(styles, { rel: "stylesheet", href: "styles/train.css" });
    document.head.append(styles);
    room.textContent = "Loading the room of training\u2026";
    window.hrmTraining = room;
    import("./train.js")
      .then((module) => module.default())
      .catch((error) => {
        console.error(error);
        room.textContent = `The room of training could not be loaded (${error}). Reloading the page may help.`;
      });
    return room;
  };
  customElements.define(
    "train-room",
    class extends HTMLElement {
      connectedCallback() {
        this.append((training ??= openTraining()));
      }
    },
  );

  // After the first visit the page works offline. A newer version is kept
  // beside the old one until the page is asked to use it.
  const keep = async () => {
    let asked;
    const offer = (worker) => {
      if (asked !== undefined) return;
      asked = false;
      const note = document.createElement("p");
      note.className = "update";
      note.setAttribute("role", "status");
      note.textContent = "There is a newer version of this page. ";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Use it";
      button.addEventListener("click", () => {
        asked = true;
        worker.postMessage("take-over");
      });
      note.append(button);
      document.body.prepend(note);
    };
    const registration = await navigator.serviceWorker.register("sw.js");
    if (registration.waiting) offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const worker = registration.installing;
      worker?.addEventListener("statechange", () => {
        if (worker.state === "installed" && navigator.serviceWorker.controller) offer(worker);
      });
    });
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (asked) location.reload();
    });
  };
  // Not before the page is there: it comes first.
  if ("serviceWorker" in navigator) {
    window.addEventListener("load", () => keep().catch((error) => console.info("offline use is not possible:", error)));
  }
})();
