// Two GANs in plain JavaScript, small enough to read: the Dirac-GAN, and a GAN of points on a ring. No server, nothing from
// elsewhere. The functions of `GAN` are pure, and a test of minigan holds each of them to its engine.
"use strict";

const GAN = {
  sigmoid: (l) => (l >= 0 ? 1 / (1 + Math.exp(-l)) : Math.exp(l) / (1 + Math.exp(l))),
  softplus: (l) => Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l))),

  // -- the Dirac-GAN: data at 0, fakes at theta, D(x) = psi x, R1 penalty gamma/2 psi^2 ------------------------------
  // (d theta/dt, d psi/dt) = (-dL_G/d theta, -dL_D/d psi), l = psi theta.
  diracField(theta, psi, { loss, gamma }) {
    const l = psi * theta;
    const ofG = { non_saturating: GAN.sigmoid(-l), minimax: GAN.sigmoid(l), wasserstein: 1 }[loss];
    const ofD = { non_saturating: GAN.sigmoid(l), minimax: GAN.sigmoid(l), wasserstein: 1 }[loss];
    return [ofG * psi, -ofD * theta - gamma * psi];
  },
  diracStep([theta, psi], { rule, step, ...game }) {
    const [a, b] = GAN.diracField(theta, psi, game);
    const moved = theta + step * a;
    return [moved, psi + step * (rule === "alternating" ? GAN.diracField(moved, psi, game)[1] : b)];
  },
  // At the rest point the Jacobian is [[0, c], [-c, -gamma]] with c = 1/2 or 1: its eigenvalues as [real, imaginary].
  diracEigenvalues({ loss, gamma }) {
    const c = loss === "wasserstein" ? 1 : 0.5, inside = (gamma * gamma) / 4 - c * c, root = Math.sqrt(Math.abs(inside));
    return inside >= 0 ? [[-gamma / 2 + root, 0], [-gamma / 2 - root, 0]] : [[-gamma / 2, root], [-gamma / 2, -root]];
  },

  // -- networks: layers of {weight: rows of inputs, bias}, activation max(x, slope x) between them --------------------
  forward({ layers, slope }, x) {
    const seen = [(x = x.map((row) => Float64Array.from(row)))];
    layers.forEach(({ weight, bias }, i) => {
      const last = i + 1 === layers.length;
      x = x.map((row) => {
        const out = Float64Array.from(bias);
        for (let j = 0; j < row.length; j++) for (let k = 0, v = row[j], w = weight[j]; k < out.length; k++) out[k] += v * w[k];
        if (!last) for (let k = 0; k < out.length; k++) if (out[k] <= 0) out[k] *= slope;
        return out;
      });
      seen.push(x);
    });
    return seen; // what each layer read, and what the last one gave
  },
  // From dL/d(output), (n, outputs): the gradients of the layers, and dL/d(input).
  backward({ layers, slope }, seen, g) {
    const grads = [];
    for (let i = layers.length - 1; i >= 0; i--) {
      const { weight, bias } = layers[i], of = { weight: weight.map((row) => new Float64Array(row.length)), bias: new Float64Array(bias.length) };
      g = g.map((row, n) => {
        const x = seen[i][n], y = seen[i + 1][n], back = new Float64Array(x.length);
        if (i + 1 < layers.length) row = row.map((v, k) => (y[k] > 0 ? v : slope * v));
        for (let k = 0; k < row.length; k++) of.bias[k] += row[k];
        for (let j = 0; j < x.length; j++) {
          let sum = 0;
          for (let k = 0, w = weight[j], d = of.weight[j]; k < row.length; k++) { d[k] += x[j] * row[k]; sum += w[k] * row[k]; }
          back[j] = sum;
        }
        return back;
      });
      grads[i] = of;
    }
    return [grads, g];
  },
  // Adam (Kingma, Ba 2014): p -= lr m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps), in place; `memory` holds m, v and t.
  adam({ layers }, grads, memory, { lr, beta1, beta2 }) {
    memory.t = (memory.t || 0) + 1;
    const correct1 = 1 - beta1 ** memory.t, correct2 = 1 - beta2 ** memory.t;
    const move = (params, slopes, key) => {
      const m = (memory[`m ${key}`] ??= params.map(() => 0)), v = (memory[`v ${key}`] ??= params.map(() => 0));
      for (let i = 0; i < params.length; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * slopes[i];
        v[i] = beta2 * v[i] + (1 - beta2) * slopes[i] ** 2;
        params[i] -= (lr * (m[i] / correct1)) / (Math.sqrt(v[i] / correct2) + 1e-8);
      }
    };
    layers.forEach(({ weight, bias }, i) => {
      weight.forEach((row, j) => move(row, grads[i].weight[j], `${i} ${j}`));
      move(bias, grads[i].bias, `${i}`);
    });
  },
  // One step of the non-saturating game, D first: reals (n, 2), noise for D and for G (n, 2). Returns both losses.
  step(game, real, noiseD, noiseG, options) {
    const { G, D } = game, n = real.length, mean = (values) => values.reduce((a, b) => a + b, 0) / n;
    const fake = GAN.forward(G, noiseD).at(-1), seen = GAN.forward(D, [...real, ...fake]);
    const l = seen.at(-1).map(([v]) => v);
    const lossD = mean(l.map((v, i) => GAN.softplus(i < n ? -v : v)));
    GAN.adam(D, GAN.backward(D, seen, l.map((v, i) => Float64Array.of((i < n ? GAN.sigmoid(v) - 1 : GAN.sigmoid(v)) / n)))[0], (game.memoryD ??= {}), options);
    const made = GAN.forward(G, noiseG), judged = GAN.forward(D, made.at(-1)), m = judged.at(-1).map(([v]) => v);
    const slopes = GAN.backward(D, judged, m.map((v) => Float64Array.of((GAN.sigmoid(v) - 1) / n)))[1]; // dL_G/dx
    GAN.adam(G, GAN.backward(G, made, slopes)[0], (game.memoryG ??= {}), options);
    return [lossD, mean(m.map((v) => GAN.softplus(-v)))];
  },

  // -- the ring, and chance -------------------------------------------------------------------------------------------
  modes: [...Array(8).keys()].map((k) => [2 * Math.cos((k * Math.PI) / 4), 2 * Math.sin((k * Math.PI) / 4)]),
  // [modes with a sample within 3 sigma, share of such samples]
  covered(points, sigma) {
    const near = points.map(([x, y]) => GAN.modes.findIndex(([a, b]) => Math.hypot(x - a, y - b) <= 3 * sigma)).filter((k) => k >= 0);
    return [new Set(near).size, near.length / points.length];
  },
  random(seed) { // mulberry32, and Box-Muller on it
    const uniform = () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
  },
  network(sizes, slope, random) { // weights N(0, 2 / inputs) (He et al. 2015), biases 0
    const layers = sizes.slice(1).map((outputs, i) => ({
      weight: [...Array(sizes[i])].map(() => new Float64Array(outputs).map(() => random.normal() * Math.sqrt(2 / sizes[i]))), bias: new Float64Array(outputs) }));
    return { layers, slope };
  },
};

// -- the page ----------------------------------------------------------------------------------------------------------
if (document.getElementById("dirac-plane")) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const value = (id) => { const field = document.getElementById(id); return field.type === "range" ? Number(field.value) : field.value; };
  const plane = (id, reach) => {
    const canvas = document.getElementById(id), side = canvas.getBoundingClientRect().width, ratio = devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(side * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return { context, side, px: (x) => ((x + reach) / (2 * reach)) * side, py: (y) => (1 - (y + reach) / (2 * reach)) * side };
  };
  const dot = (context, x, y, r) => { context.beginPath(); context.arc(x, y, r, 0, 7); context.fill(); };

  const dirac = { path: [[1, 0.5]], on: false };
  const settings = () => ({ loss: value("dirac-loss"), rule: value("dirac-rule"), gamma: value("dirac-gamma"), step: value("dirac-step") });
  const drawDirac = () => {
    const { context, side, px, py } = plane("dirac-plane", 2), game = settings();
    context.strokeStyle = colour("line"); context.strokeRect(0.5, 0.5, side - 1, side - 1);
    context.strokeStyle = colour("quiet");
    for (let x = -1.8; x < 2; x += 0.4) for (let y = -1.8; y < 2; y += 0.4) {
      const [a, b] = GAN.diracField(x, y, game);
      context.beginPath(); context.moveTo(px(x), py(y)); context.lineTo(px(x + 0.15 * a), py(y + 0.15 * b)); context.stroke();
      context.fillStyle = colour("quiet"); dot(context, px(x), py(y), 1.2);
    }
    context.strokeStyle = context.fillStyle = colour("link"); context.beginPath();
    dirac.path.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](px(x), py(y))); context.stroke();
    const [theta, psi] = dirac.path.at(-1); dot(context, px(theta), py(psi), 4);
    const text = GAN.diracEigenvalues(game).map(([a, b]) => `${a.toFixed(3)}${b ? ` ${b < 0 ? "−" : "+"} ${Math.abs(b).toFixed(3)} i` : ""}`).join(", ");
    document.getElementById("dirac-said").textContent = `step ${dirac.path.length - 1}: θ = ${theta.toFixed(3)}, ψ = ${psi.toFixed(3)}; eigenvalues at the rest point ${text}`;
  };

  const ring = { on: false };
  const begin = () => {
    const random = GAN.random(value("ring-seed"));
    Object.assign(ring, { random, steps: 0, losses: [], noise: [...Array(300)].map(() => [random.normal(), random.normal()]),
      game: { G: GAN.network([2, 24, 24, 2], 0, random), D: GAN.network([2, 24, 24, 1], 0.2, random) } });
  };
  const stepRing = () => {
    const { random } = ring, pair = () => [random.normal(), random.normal()], many = (make) => [...Array(64)].map(make);
    const real = many(() => { const [a, b] = GAN.modes[Math.floor(8 * random.uniform())]; return [a + 0.02 * random.normal(), b + 0.02 * random.normal()]; });
    ring.losses = GAN.step(ring.game, real, many(pair), many(pair), { lr: value("ring-lr"), beta1: 0.5, beta2: 0.99 });
    ring.steps++;
  };
  const drawRing = () => {
    const { context, side, px, py } = plane("ring-plane", 3), cells = 28, grid = [];
    for (let i = 0; i < cells; i++) for (let j = 0; j < cells; j++) grid.push([-3 + (6 * (j + 0.5)) / cells, 3 - (6 * (i + 0.5)) / cells]);
    GAN.forward(ring.game.D, grid).at(-1).forEach(([l], k) => {
      const d = GAN.sigmoid(l) - 0.5;
      context.globalAlpha = 1.1 * Math.abs(d); context.fillStyle = d > 0 ? colour("link") : colour("wrong");
      context.fillRect(((k % cells) / cells) * side, (Math.floor(k / cells) / cells) * side, side / cells + 0.5, side / cells + 0.5);
    });
    context.globalAlpha = 1; context.strokeStyle = colour("line"); context.strokeRect(0.5, 0.5, side - 1, side - 1);
    context.strokeStyle = colour("link");
    for (const [a, b] of GAN.modes) { context.beginPath(); context.arc(px(a), py(b), 7, 0, 7); context.stroke(); }
    const fakes = GAN.forward(ring.game.G, ring.noise).at(-1), [modes, good] = GAN.covered(fakes, 0.02);
    context.fillStyle = colour("wrong");
    for (const [x, y] of fakes) dot(context, px(x), py(y), 1.8);
    const [d, g] = ring.losses;
    document.getElementById("ring-said").textContent = `step ${ring.steps}: ${modes} of 8 modes, ${(100 * good).toFixed(0)} % good samples${d === undefined ? "" : `; L_D ${d.toFixed(3)}, L_G ${g.toFixed(3)}`}`;
  };

  const press = (id, act) => document.getElementById(id).addEventListener("click", act);
  const play = (id, what) => press(id, () => { what.on = !what.on; document.getElementById(id).textContent = what.on ? "Pause" : "Play"; if (what.on) requestAnimationFrame(frame); });
  const frame = () => {
    if (dirac.on) {
      const last = dirac.path.at(-1);
      if (Math.hypot(...last) < 50) dirac.path = [...dirac.path, GAN.diracStep(last, settings())].slice(-3000);
      drawDirac();
    }
    if (ring.on) { const end = performance.now() + 14; do stepRing(); while (performance.now() < end); drawRing(); }
    if (dirac.on || ring.on) requestAnimationFrame(frame);
  };
  play("dirac-play", dirac);
  play("ring-play", ring);
  press("dirac-one", () => { dirac.path.push(GAN.diracStep(dirac.path.at(-1), settings())); drawDirac(); });
  press("ring-one", () => { stepRing(); drawRing(); });
  press("dirac-again", () => { dirac.path = [[1, 0.5]]; drawDirac(); });
  press("ring-again", () => { begin(); drawRing(); });
  document.getElementById("dirac-plane").addEventListener("click", (event) => {
    const box = event.target.getBoundingClientRect();
    dirac.path = [[(4 * (event.clientX - box.left)) / box.width - 2, 2 - (4 * (event.clientY - box.top)) / box.height]];
    drawDirac();
  });
  for (const field of document.querySelectorAll(".play select, .play input")) {
    field.addEventListener("input", () => { const shown = field.parentElement.querySelector("output"); if (shown) shown.textContent = field.value; drawDirac(); });
  }
  document.getElementById("ring-seed").addEventListener("input", () => { begin(); drawRing(); });
  for (const [event, of] of [["resize", window], ["change", matchMedia("(prefers-color-scheme: dark)")]]) of.addEventListener(event, () => { drawDirac(); drawRing(); });
  begin();
  drawDirac();
  drawRing();
}
