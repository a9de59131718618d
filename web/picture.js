// Files for the person: any <svg> or <canvas> of the page, or a group of
// captioned ones, as SVG or PNG, and text. Fetched when it is first wanted.

// Pixels of a PNG to one unit of the drawing: sharp in print.
const SCALE = 3;

// What a drawing's look is made of. All of these may stand as attributes, so
// that the file needs no style sheet.
const PROPERTIES = [
  "color",
  "dominant-baseline",
  "fill",
  "fill-opacity",
  "fill-rule",
  "font-family",
  "font-size",
  "font-style",
  "font-weight",
  "opacity",
  "stop-color",
  "stroke",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-opacity",
  "stroke-width",
  "text-anchor",
];

const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

const set = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
};

const hand = (url, name) => {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
};

// Hands a text to the person.
export const download = (name, type, text) => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  hand(url, name);
  URL.revokeObjectURL(url);
};

// Gives a copy the computed looks of its original, with all below it.
const adoptLooks = (original, copy) => {
  const style = getComputedStyle(original);
  for (const property of PROPERTIES) {
    const value = style.getPropertyValue(property);
    if (value !== "") copy.setAttribute(property, value);
  }
  copy.removeAttribute("class");
  [...original.children].forEach((child, i) => adoptLooks(child, copy.children[i]));
};

// Gives a drawing its size, the page's colour as its ground, and a word on
// where it comes from.
const frame = (drawing, [x, y, width, height], address) => {
  set(drawing, { width, height, viewBox: `${x} ${y} ${width} ${height}` });
  const ground = make("rect");
  set(ground, { x, y, width, height, fill: getComputedStyle(document.body).backgroundColor });
  const source = make("desc");
  source.textContent = address;
  drawing.prepend(source, ground);
  return { text: new XMLSerializer().serializeToString(drawing), width, height };
};

// An <svg> as a file of its own: the looks that the page's style sheets give
// it become attributes.
const standalone = (element, address) => {
  const copy = element.cloneNode(true);
  adoptLooks(element, copy);
  const bounds = (element.getAttribute("viewBox") ?? "").trim().split(/\s+/).map(Number);
  const rect = element.getBoundingClientRect();
  return frame(copy, bounds.length === 4 ? bounds : [0, 0, rect.width, rect.height], address);
};

// A group of drawings with their captions as one, arranged as on the page.
const sheet = (group, address) => {
  const around = group.getBoundingClientRect();
  const whole = make("svg");
  for (const drawing of group.getElementsByTagName("svg")) {
    const copy = drawing.cloneNode(true);
    adoptLooks(drawing, copy);
    const { left, top, width, height } = drawing.getBoundingClientRect();
    set(copy, { x: left - around.left, y: top - around.top, width, height });
    whole.append(copy);
  }
  for (const caption of group.querySelectorAll("figcaption > *")) {
    const text = make("text");
    text.textContent = caption.textContent;
    const style = getComputedStyle(caption);
    for (const property of ["font-family", "font-size", "font-weight"]) {
      text.setAttribute(property, style.getPropertyValue(property));
    }
    const { left, bottom } = caption.getBoundingClientRect();
    // Text stands on its line, which is a little above its box's foot.
    set(text, { fill: style.color, dy: "-0.3em", x: left - around.left, y: bottom - around.top });
    whole.append(text);
  }
  return frame(whole, [0, 0, around.width, around.height], address);
};

// Saves the element of that id under a name, as "svg" or "png". The address of
// what is shown goes into an SVG's description.
export const save = async (id, name, kind, fragment) => {
  const address = new URL(fragment, location.href).href;
  const element = document.getElementById(id);
  const drawn = () => {
    if (element instanceof HTMLCanvasElement) {
      const { width, height } = element;
      const image = `<image width="${width}" height="${height}" href="${element.toDataURL()}"/>`;
      const text = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${image}</svg>`;
      return { text, width, height };
    }
    return element instanceof SVGElement ? standalone(element, address) : sheet(element, address);
  };
  if (kind === "png" && element instanceof HTMLCanvasElement) return hand(element.toDataURL(), `${name}.png`);
  const { text, width, height } = drawn();
  if (kind === "svg") return download(`${name}.svg`, "image/svg+xml", text);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(width * SCALE);
  canvas.height = Math.floor(height * SCALE);
  canvas.getContext("2d").drawImage(image, 0, 0, width * SCALE, height * SCALE);
  hand(canvas.toDataURL(), `${name}.png`);
};
