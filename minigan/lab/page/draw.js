// Canvases: sharp on every screen, coloured by the page's style, described in words for who cannot see them.

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A canvas's context with one unit a CSS pixel, cleared; the size is [width, height].
export function begin(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, [width, height]];
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// Levels (see measures.py) as a small picture: fake's colour below the middle, paper there, real's above; 255 is nothing.
export function levels(data, cells) {
  const [low, middle, high] = ["fake", "plane", "real"].map((name) => rgb(colour(name)));
  const image = new ImageData(cells, cells);
  for (let i = 0; i < data.length; i++) {
    const row = cells - 1 - Math.floor(i / cells), at = 4 * (row * cells + (i % cells));
    const share = (data[i] - 127) / 127, end = share < 0 ? low : high;
    for (let k = 0; k < 3; k++) image.data[at + k] = middle[k] + 0.62 * Math.abs(share) * (end[k] - middle[k]);
    image.data[at + 3] = data[i] === 255 ? 0 : 255;
  }
  const small = new OffscreenCanvas(cells, cells);
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

export const number = (x, digits = 3) => {
  if (x === null || x === undefined) return "–";
  if (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5)) return x.toExponential(1).replace("-", "−");
  return x.toFixed(digits).replace("-", "−");
};

// Lines over a common x. series: [{name, colour, points: [[x, y], ...]}]; marks: [{y, text}] dashed; kept on the canvas for tests.
export function chart(canvas, series, { marks = [], label = "" } = {}) {
  canvas.series = series;
  const [context, [width, height]] = begin(canvas);
  const good = series.flatMap((s) => s.points).filter(([, y]) => Number.isFinite(y));
  context.font = "11px system-ui, sans-serif";
  if (!good.length) {
    context.fillStyle = colour("quiet");
    context.fillText("nothing yet: play, or make a step", 8, height / 2);
    return;
  }
  const ys = good.map(([, y]) => y).sort((a, b) => a - b);
  const cut = (q) => ys[Math.min(ys.length - 1, Math.floor(q * ys.length))];
  let [low, high] = [cut(0.005), cut(0.995)]; // a spike does not flatten the rest
  for (const { y } of marks) if (y > low - (high - low) && y < high + (high - low)) [low, high] = [Math.min(low, y), Math.max(high, y)];
  const pad = 0.08 * (high - low) || 0.5;
  [low, high] = [low - pad, high + pad];
  const first = Math.min(...good.map(([x]) => x)), last = Math.max(...good.map(([x]) => x), first + 1);
  const left = 44, bottom = 16, px = (x) => left + ((x - first) / (last - first)) * (width - left - 6);
  const py = (y) => Math.min(height - bottom, Math.max(2, 4 + (1 - (y - low) / (high - low)) * (height - bottom - 6)));
  context.strokeStyle = colour("line");
  context.fillStyle = colour("quiet");
  context.textBaseline = "middle";
  for (const y of ticks(low, high)) {
    context.beginPath(); context.moveTo(left, py(y)); context.lineTo(width, py(y)); context.stroke();
    context.textAlign = "right"; context.fillText(`${+y.toPrecision(3)}`.replace("-", "−"), left - 4, py(y));
  }
  context.textBaseline = "alphabetic"; context.textAlign = "left"; context.fillText(String(first), left, height - 3);
  context.textAlign = "right"; context.fillText(`step ${last}`, width - 6, height - 3);
  for (const { y, text } of marks) {
    if (y < low || y > high) continue;
    context.setLineDash([4, 3]); context.strokeStyle = colour("quiet");
    context.beginPath(); context.moveTo(left, py(y)); context.lineTo(width, py(y)); context.stroke(); context.setLineDash([]);
    context.textAlign = "right"; context.fillText(text, width - 6, py(y) - 3);
  }
  for (const { colour: name, points, dash } of series) {
    context.strokeStyle = colour(name); context.lineWidth = 1.4; context.setLineDash(dash || []); context.beginPath();
    let on = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(y)) { on = false; continue; }
      if (on) context.lineTo(px(x), py(y)); else context.moveTo(px(x), py(y));
      on = true;
    }
    context.stroke(); context.lineWidth = 1; context.setLineDash([]);
  }
  const ends = series.map((s) => `${s.name} ${number(s.points.at(-1)?.[1])}`).join(", ");
  canvas.setAttribute("aria-label", `${label} at step ${last}: ${ends}`);
}

function ticks(low, high) {
  const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const found = [];
  for (let y = Math.ceil(low / step) * step; y <= high; y += step) found.push(Math.abs(y) < step / 1e6 ? 0 : y);
  return found;
}

// An element: element("p", {class: "quiet", text: "..."}, child, ...). Names with "on" are listeners.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// The lines where losses are at the equilibrium, {player: {text, value}}; one for both players where it is the same.
export const PLAYER = { discriminator: "D", generator: "G" };
export function marked(equilibrium) {
  const at = new Map();
  for (const [player, { text, value }] of Object.entries(equilibrium)) at.set(value, { y: value, text, of: [...(at.get(value)?.of ?? []), PLAYER[player]] });
  return [...at.values()].map(({ y, text, of }) => ({ y, text: `${of.join(", ")}: ${text}` }));
}

// What the chart of the losses shows, and the equilibrium only where one is marked.
export const keyLosses = (shown, marks) =>
  shown.replaceChildren(...legend(["d", "L_D"], ["g", "L_G"], ...(marks.length ? [["dashed", "equilibrium"]] : [])).childNodes);

export const legend = (...entries) =>
  element("p", { class: "legend" }, ...entries.map(([name, text]) => element("span", { class: `key ${name}`, text })));
