"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const AXES = { beam: data.beams, lm: data.lm_weights, scale: data.acoustic_scales };
const narrow = window.matchMedia("(max-width: 700px)");
const FRAME_MILLISECONDS = 110;
const RADIUS = 9;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const number = (value) => String(Number(value.toPrecision(3)));
let tokens = null; // one byte for each run, frame and state
let drawn = null; // arcs, direction and width of what was drawn
let dots = [];
let timer = 0;

function nearest(values, wanted) {
  const gaps = values.map((value) => Math.abs(Math.log(value / wanted)));
  return gaps.indexOf(Math.min(...gaps));
}

function chosen() {
  const [b, l, s] = ["beam", "lm", "scale"].map((name) => Number(at(name).value));
  return (b * AXES.lm.length + l) * AXES.scale.length + s;
}

function shownText(run) {
  return data.texts[run.text] || (run.reason ? `nothing: ${run.reason}` : "nothing: no words");
}

// ------------------------------------------------------------------------------------ the graph
function element(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

function places() {
  const graph = data.graph;
  const across = graph.states.map((state) => state[1]);
  const low = Math.min(...across);
  const depth = Math.max(...graph.states.map((state) => state[0]));
  const height = Math.max(...across) - low;
  const room = at("scroller").clientWidth || 360;
  if (narrow.matches) {
    const step = Math.min(86, (room - 70) / Math.max(height, 1));
    const points = graph.states.map(([x, y]) => [30 + (y - low) * step, 26 + x * 40]);
    return { points, width: room, height: 52 + depth * 40 };
  }
  const step = Math.max(30, Math.min(90, (room - 70) / Math.max(depth, 1)));
  const points = graph.states.map(([x, y]) => [30 + x * step, 40 + (height + low - y) * 62]);
  return { points, width: 60 + depth * step, height: 84 + height * 62 };
}

function draw() {
  const graph = data.graph;
  const svg = at("graph");
  for (const child of [...svg.children]) if (child.tagName !== "title") child.remove();
  const { points, width, height } = places();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const lines = element("g", {}, svg);
  const words = [];
  const arcs = graph.arcs.map(([source, target, word]) => {
    const [a, b] = [points[source], points[target]];
    const far = Math.abs(graph.states[target][0] - graph.states[source][0]) !== 1;
    const bend = far ? 0.16 : 0;
    const middle = [(a[0] + b[0]) / 2 + bend * (b[1] - a[1]), (a[1] + b[1]) / 2 - bend * (b[0] - a[0])];
    const line = element("path", { d: `M${a} Q${middle} ${b}` }, lines);
    if (word) words.push([word, target]);
    return { line, source, target };
  });
  const states = element("g", {}, svg);
  dots = graph.states.map(([, , name, final], state) => {
    const [cx, cy] = points[state];
    element("circle", { cx, cy, r: RADIUS, class: "state" }, states);
    if (final) element("circle", { cx, cy, r: RADIUS + 3, class: "final" }, states);
    const dot = element("circle", { cx, cy, r: 0, class: "token" }, states);
    const silent = graph.silences.includes(name);
    const label = silent ? "–" : name;
    const where = narrow.matches ? { x: cx + 15, y: cy + 4, style: "text-anchor: start" } :
      { x: cx, y: cy + 22 };
    if (label) element("text", where, states, label);
    return dot;
  });
  const seen = new Set();
  for (const [word, target] of words) {
    const [x, y] = points[target];
    if (seen.has(`${word} ${x} ${y}`)) continue;
    const rank = [...seen].filter((each) => each.endsWith(` ${x} ${y}`)).length;
    seen.add(`${word} ${x} ${y}`);
    const where = narrow.matches ? { x: x + 4, y: y - 13 - 14 * rank } : { x, y: y - 15 - 14 * rank };
    element("text", { ...where, class: "word" }, svg, word);
  }
  drawn = { arcs, narrow: narrow.matches, width: at("scroller").clientWidth };
}

function showPath(run) {
  const taken = new Set(run.path.map(([source, target]) => `${source} ${target}`));
  for (const { line, source, target } of drawn.arcs) {
    line.setAttribute("class", taken.has(`${source} ${target}`) ? "lit" : "");
  }
}

function showTokens(index, frame) {
  const beam = AXES.beam[Number(at("beam").value)];
  let alive = 0;
  dots.forEach((dot, state) => {
    const level = tokens[(index * data.n_frames + frame) * dots.length + state];
    const behind = level * data.step;
    if (level === 255) {
      dot.setAttribute("r", 0);
      return;
    }
    alive += behind <= beam ? 1 : 0;
    dot.setAttribute("r", RADIUS - 2);
    dot.setAttribute("class", level === 0 ? "token best" : behind > beam ? "token far" : "token");
    dot.style.opacity = level === 0 ? 1 : 0.25 + 0.65 * Math.max(0, 1 - behind / beam);
  });
  const seconds = frame * data.frame_seconds;
  at("time").textContent = `frame ${frame + 1} of ${data.n_frames} · ${seconds.toFixed(2)} s · ` +
    `${alive} ${alive === 1 ? "token" : "tokens"}`;
  const partial = data.runs[index].partial[frame];
  at("partial").textContent = alive ? data.texts[partial] || "no words yet" : "no token is left";
  at("now").style.left = `${(100 * (frame + 0.5)) / data.n_frames}%`;
}

// ------------------------------------------------------------------------------------- the rest
function showTable(index) {
  const used = [...new Set(data.runs.map((run) => shownText(run)))].sort();
  const first = Number(at("beam").value) * AXES.lm.length * AXES.scale.length;
  const table = at("all");
  for (const child of [...table.children]) if (child.tagName !== "CAPTION") child.remove();
  const head = table.createTHead().insertRow();
  const corner = document.createElement("th");
  corner.textContent = "LM weight ↓ scale →";
  corner.scope = "col";
  head.append(corner);
  for (const scale of AXES.scale) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = number(scale);
    head.append(cell);
  }
  const body = table.createTBody();
  AXES.lm.forEach((weight, l) => {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = number(weight);
    row.append(name);
    AXES.scale.forEach((scale, s) => {
      const k = first + l * AXES.scale.length + s;
      const button = document.createElement("button");
      const text = shownText(data.runs[k]);
      button.type = "button";
      button.textContent = LETTERS[used.indexOf(text)];
      button.title = text;
      button.setAttribute("aria-label", `LM weight ${number(weight)}, scale ${number(scale)}: ${text}`);
      if (k === index) {
        button.className = "here";
        button.setAttribute("aria-current", "true");
      }
      button.addEventListener("click", () => {
        at("lm").value = l;
        at("scale").value = s;
        show();
        at("all").querySelector(".here").focus();
      });
      row.insertCell().append(button);
    });
  });
  at("texts").replaceChildren(...used.map((text, k) => {
    const item = document.createElement("li");
    item.textContent = `${LETTERS[k]}: ${text}`;
    return item;
  }));
}

function show() {
  const index = chosen();
  const run = data.runs[index];
  if (!drawn || drawn.narrow !== narrow.matches ||
      drawn.width !== at("scroller").clientWidth) draw();
  for (const [name, values] of Object.entries(AXES)) {
    const text = number(values[Number(at(name).value)]);
    at(`${name}-value`).textContent = text;
    at(name).setAttribute("aria-valuetext", text);
  }
  at("winner").textContent = shownText(run);
  at("winner").className = run.text === data.runs[usual].text ? "" : "other";
  at("cost").textContent = run.cost === null ? "" : `cost ${run.cost.toFixed(1)}`;
  showPath(run);
  showTokens(index, Number(at("frame").value));
  showTable(index);
}

function showFrame(frame) {
  at("frame").value = Math.max(0, Math.min(frame, data.n_frames - 1));
  showTokens(chosen(), Number(at("frame").value));
}

function stop() {
  clearInterval(timer);
  timer = 0;
  at("play").textContent = "Play";
}

function play() {
  if (timer) {
    stop();
    return;
  }
  const last = Number(at("frame").max);
  if (Number(at("frame").value) >= last) showFrame(0);
  at("play").textContent = "Pause";
  timer = setInterval(() => {
    showFrame(Number(at("frame").value) + 1);
    if (Number(at("frame").value) >= last) stop();
  }, FRAME_MILLISECONDS);
}

async function unpack() {
  const bytes = Uint8Array.from(atob(data.tokens), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  tokens = new Uint8Array(await new Response(stream).arrayBuffer());
}

for (const [name, values] of Object.entries(AXES)) at(name).max = values.length - 1;
at("beam").value = AXES.beam.length - 1;
at("lm").value = nearest(AXES.lm, 1);
at("scale").value = nearest(AXES.scale, data.own_scale);
const usual = chosen();
at("frame").max = data.n_frames - 1;
at("frame").value = Math.floor(Number(at("frame").max) / 2);
unpack().then(() => {
  show();
  for (const name of Object.keys(AXES)) at(name).addEventListener("input", show);
  at("frame").addEventListener("input", () => showFrame(Number(at("frame").value)));
  at("back").addEventListener("click", () => showFrame(Number(at("frame").value) - 1));
  at("on").addEventListener("click", () => showFrame(Number(at("frame").value) + 1));
  at("play").addEventListener("click", play);
  window.addEventListener("resize", show);
  document.body.dataset.ready = "yes";
});
