// The page: which scene is shown, what the process is doing, what went wrong.

import { element } from "./draw.js";
import { listen, send } from "./protocol.js";
import { Dirac } from "./dirac.js";
import { Images } from "./images.js";
import { Points } from "./points.js";
import { Run } from "./run.js";

const SCENES = { points: ["Points", Points], dirac: ["Dirac-GAN", Dirac], images: ["Images", Images], run: ["The run", Run] };
const main = document.getElementById("main"), problem = document.getElementById("problem"), process = document.getElementById("process");
const made = {};
let shown = null;

function say(text) {
  problem.hidden = !text;
  problem.textContent = text;
}

function ask(command) {
  return send(command).catch((error) => say(`The server did not take that: ${error.message}`));
}

function show(name) {
  if (shown?.name === name) return;
  shown = made[name] ??= Object.assign(new SCENES[name][1](ask), { name });
  main.replaceChildren(shown.root);
  for (const button of document.querySelectorAll("#scenes button")) {
    button.setAttribute("aria-current", String(button.dataset.scene === name));
  }
  shown.resume?.();
}

const pass = (kind) => (value) => shown?.[kind]?.(value);
listen({
  scenes(names) {
    document.getElementById("scenes").replaceChildren(...names.map((name) => element("button", {
      type: "button", "data-scene": name, text: SCENES[name][0], "aria-current": String(shown?.name === name),
      onclick: () => ask({ do: "scene", name }),
    })));
  },
  state(value) { show(value.mode); shown.state?.(value); },
  problem({ text }) {
    say(text);
    if (text && shown?.now) shown.state(shown.now); // fields show what is in force
  },
  busy({ text }) { document.getElementById("busy").textContent = text; },
  process({ alive, code }) {
    process.replaceChildren();
    document.body.classList.toggle("dead", !alive);
    if (alive) return;
    process.append(`The process that trains has ended (${code}). `, element("button", {
      type: "button", id: "start", text: "Start it again", onclick: () => ask({ do: "start" }).then(() => ask({ do: "hello" })),
    }));
  },
  gone() { process.textContent = "The lab's server does not answer: was it ended?"; },
  ...Object.fromEntries(["schema", "run", "history", "rows", "frame", "truth", "plane", "path", "images", "decoded", "about",
    "diagnosis"].map((kind) => [kind, pass(kind)])),
});

let waiting = 0;
addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => shown?.redraw?.()); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.redraw?.());
