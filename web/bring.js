// What people bring: files and folders that are dropped on the page or chosen.
// A text is handed to the page, which knows runs and puzzles; anything else may
// be a network, which a worker of its own makes of it. Fetched when it is first
// wanted, and so is that worker.

// Bytes by which a text is told from weights.
const HEAD = 512;
// Of a list of puzzles only the first is shown: more of it is not read.
const LIST = 1 << 20;

// How a saved run begins, and what a network's configuration begins with.
const RUN = /^\s*\{\s*"hrm-run"/;
const CONFIGURATION = /^arch:|"(arch|hidden_size|H_cycles)"\s*:/m;
// Texts that stand in for a file that did not come.
const STAND_IN = /^\s*(version https:\/\/git-lfs|<!doctype html|<html)/i;

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

// The files of a folder, without those of folders in it.
const listed = async (folder) => {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    for (const entry of some) if (entry.isFile) files.push(await fileOf(entry));
  }
};

const filesOf = async (item) => {
  if (item instanceof File) return [item];
  return item.isFile ? [await fileOf(item)] : listed(item);
};

const decoded = (bytes) => {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  return bytes.includes(0) ? undefined : new TextDecoder().decode(bytes);
};

const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

// The beginning of what a file compressed with gzip holds.
const unpacked = async (file) => {
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const pieces = [];
  for (let length = 0; length < LIST; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  await reader.cancel();
  return bytesOf(new Blob(pieces));
};

// A file's text, or nothing if it is none that the page reads.
const textOf = async (file) => {
  const head = await bytesOf(file.slice(0, HEAD));
  if (head[0] === 0x1f && head[1] === 0x8b) return decoded(await unpacked(file).catch(() => head));
  const begin = decoded(head);
  if (begin === undefined || STAND_IN.test(begin) || CONFIGURATION.test(begin)) return undefined;
  if (RUN.test(begin)) return file.text();
  return decoded(await bytesOf(file.slice(0, LIST)));
};

let making;

const button = (label, press) => {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", press);
  return made;
};

const paragraph = (text) => {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
};

// Shows elements where the page has a place for them, in place of older ones.
const show = (...elements) => document.getElementById("brought")?.replaceChildren(...elements);

// Gives up the network that is being made, and what is said of it.
export const callOff = () => {
  making?.terminate();
  making = undefined;
  show();
};

const fail = (reason) => {
  const box = document.createElement("div");
  Object.assign(box, { id: "bring-failure", className: "failure", role: "alert" });
  box.append(paragraph(reason), button("Close", callOff));
  show(box);
};

// Shows how far a network has come; returns what moves that on.
const follow = () => {
  const box = document.createElement("div");
  Object.assign(box, { id: "bringing", className: "news" });
  const text = paragraph("");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Your network");
  const cancel = button("Cancel", callOff);
  Object.assign(cancel, { id: "cancel-import", className: "quiet" });
  box.append(text, bar, cancel);
  show(box);
  return (share) => {
    bar.value = share;
    text.textContent = share < 1 ? `Reading your network: ${Math.floor(100 * share)} %` : "Making your network ready…";
  };
};

// Has a network made of files, and kept by the page's worker under `base`.
const make = (files, keeper, base) => {
  callOff();
  const progress = follow();
  progress(0);
  const worker = new Worker("import_loader.js", { type: "module" });
  making = worker;
  const failed = (reason) => {
    // One that was given up has nothing more to say.
    if (making !== worker) return;
    callOff();
    fail(reason);
  };
  worker.onmessage = ({ data }) => {
    if (making !== worker) return;
    if (typeof data !== "string") {
      const buffers = data.files.map(([, bytes]) => bytes.buffer);
      keeper.postMessage({ ...data, keep: base }, buffers);
      // What is said of it stays until the page has it.
      worker.terminate();
      progress(1);
      return;
    }
    const event = JSON.parse(data);
    if (event === "ready") worker.postMessage(files);
    else if (event.progress) progress(event.progress.received / event.progress.total);
    else if (event.error) failed(event.error.message);
  };
  worker.onerror = (event) => {
    failed(`What reads networks has stopped: ${event.message || "its files could not be loaded"}`);
  };
};

// Takes files and entries of folders. `hear` gets the text of a file that is one.
export const take = async (items, keeper, base, hear) => {
  let named = "What was brought";
  try {
    const files = (await Promise.all(items.map(filesOf))).flat();
    if (files.length === 0) throw new Error("there is no file in it");
    named = files[0].name;
    const text = files.length === 1 ? await textOf(files[0]) : undefined;
    if (text === undefined) make(files, keeper, base);
    else hear(text);
  } catch (error) {
    fail(`${named} could not be read: ${error.message}`);
  }
};
