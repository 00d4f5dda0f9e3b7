"use strict";
// The page: a microphone over Vosk's WebSocket, files over OpenAI's HTTP, results as they come.

const OWN = "your phrases"; // no model of the server
const BEHIND = 20; // blocks without an answer: two seconds
const KEPT = 60; // seconds of sound that an explanation may have

const at = (id) => document.getElementById(id);
const page = Object.fromEntries(
  ["login", "token", "model", "own", "more", "expected", "phrases", "listen", "level", "partial", "status", "drop",
    "file", "progress", "file-status", "clear", "nothing", "results", "why"].map((id) => [id, at(id)]),
);
let listening = null;

function say(where, text, wrong = false) {
  where.textContent = text;
  where.classList.toggle("error", wrong);
}

function make(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// --- models and login -------------------------------------------------------

async function start() {
  let answer;
  try {
    answer = await fetch("/v1/models");
  } catch {
    say(page.status, "The server cannot be reached.", true);
    return;
  }
  page.login.hidden = answer.status !== 401;
  if (answer.status === 401) {
    page.token.focus();
    return;
  }
  const models = (await answer.json()).data;
  page.model.replaceChildren(...models.map((model) => {
    const made = make("option", model.kind === "grammar" ? `commands: ${model.id}` : model.id);
    made.value = model.id;
    return made;
  }));
  page.model.append(Object.assign(make("option", "only my own phrases"), { value: OWN }));
}

page.login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: page.token.value }),
  });
  page.token.value = "";
  if (answer.ok) start();
  else say(page.status, "This is not the token.", true);
});

page.model.addEventListener("change", () => {
  page.own.hidden = page.model.value !== OWN;
  page.more.hidden = page.model.value === OWN;
});

function expected() {
  // What the lines ask for: words with their phones, and others as a prompt.
  const lines = page.expected.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const spoken = lines.filter((line) => line.includes("=")).map((line) => line.split("=", 2));
  const words = Object.fromEntries(spoken.map(([word, phones]) =>
    [word.trim().toLowerCase(), phones.trim().toUpperCase()]));
  return {
    prompt: lines.filter((line) => !line.includes("=")).join(", "), add_words: words,
    hotwords: Object.keys(words),
  };
}

function config(rate) {
  const asked = { sample_rate: rate, words: true, details: true };
  if (page.model.value === OWN) {
    asked.phrase_list = page.phrases.value.split("\n").map((line) => line.trim()).filter(Boolean);
  } else {
    Object.assign(asked, { model: page.model.value }, expected());
  }
  return { config: asked };
}

// --- results ----------------------------------------------------------------

function shade(confidence) {
  if (confidence === undefined || confidence === null) return "";
  return `c${confidence > 0.9 ? 3 : confidence > 0.7 ? 2 : confidence > 0.4 ? 1 : 0}`;
}

function wordsOf(words) {
  const line = make("p", undefined, "words");
  for (const word of words) {
    const made = make("span", word.word, `word ${shade(word.conf)}`);
    const sure = word.conf === undefined ? "" : `, confidence ${Math.round(word.conf * 100)} %`;
    made.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s${sure}`;
    made.append(make("small", word.start.toFixed(1)));
    line.append(made, " ");
  }
  return line;
}

function meaningOf(meaning) {
  const list = make("dl");
  const rows = [["intent", meaning.intent], ...Object.entries(meaning.slots)];
  for (const [name, value] of rows) list.append(make("dt", name), make("dd", String(value)));
  return list;
}

function add(result, sound, model) {
  const item = make("li");
  if (result.title) item.append(make("h3", result.title));
  if (result.words.length) item.append(wordsOf(result.words));
  else item.append(make("p", `No words: ${result.reason || "no speech"}`, "reason"));
  if (result.meaning) item.append(meaningOf(result.meaning));
  const buttons = make("div", undefined, "row");
  if (sound && model !== OWN) buttons.append(button("Why?", () => explain(sound, model)));
  for (const [name, kind] of result.segments ? [["srt", ","], ["vtt", "."]] : []) {
    buttons.append(button(`Subtitles (${name})`, () => save(subtitles(result.segments, kind), name)));
  }
  if (buttons.children.length) item.append(buttons);
  page.results.prepend(item);
  page.nothing.hidden = true;
  page.clear.hidden = false;
}

function button(text, pressed) {
  const made = make("button", text);
  made.type = "button";
  made.addEventListener("click", pressed);
  return made;
}

page.clear.addEventListener("click", () => {
  page.results.replaceChildren();
  page.nothing.hidden = false;
  page.clear.hidden = true;
  page.results.focus();
});

function explain(sound, model) {
  const files = new DataTransfer();
  files.items.add(sound);
  page.why.elements.file.files = files.files;
  page.why.elements.model.value = model;
  page.why.submit();
}

// --- subtitles --------------------------------------------------------------

function clock(seconds, point) {
  const whole = Math.round(seconds * 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${two(whole / 3600000)}:${two(whole / 60000 % 60)}:${two(whole / 1000 % 60)}${point}` +
    String(whole % 1000).padStart(3, "0");
}

function subtitles(segments, point) {
  const blocks = segments.map((each, i) => `${point === "," ? `${i + 1}\n` : ""}` +
    `${clock(each.start, point)} --> ${clock(each.end, point)}\n${each.text}`);
  return (point === "." ? ["WEBVTT", ...blocks] : blocks).join("\n\n") + "\n";
}

function save(text, name) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `subtitles.${name}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// --- microphone -------------------------------------------------------------

class Listening {
  async begin() {
    if (!navigator.mediaDevices || !window.AudioWorkletNode) {
      throw new Error("Browsers give the microphone only to pages of this machine or over https.");
    }
    const sound = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
    this.media = await navigator.mediaDevices.getUserMedia({ audio: sound });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/page/microphone.js");
    this.node = new AudioWorkletNode(this.context, "microphone");
    this.context.createMediaStreamSource(this.media).connect(this.node);
    await this.context.resume();
    this.model = page.model.value;
    this.blocks = [];
    this.waiting = 0;
    await this.connect();
    this.node.port.onmessage = (event) => this.take(event.data);
  }

  connect() {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
    this.socket = new WebSocket(address);
    this.socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    return new Promise((resolve, reject) => {
      this.socket.onopen = () => {
        this.socket.send(JSON.stringify(config(this.context.sampleRate)));
        resolve();
      };
      this.socket.onclose = () => {
        reject(new Error("The server refused the connection."));
        if (listening === this) stop(this.wrong || "The connection ended.");
      };
    });
  }

  take({ samples, peak }) {
    page.level.value = peak;
    if (this.socket.readyState !== WebSocket.OPEN || this.ending) return;
    this.blocks.push(new Int16Array(samples));
    if (this.blocks.length > KEPT * 10) this.blocks.shift();
    this.socket.send(samples);
    this.waiting += 1;
    if (this.waiting > BEHIND) {
      this.behind = true;
      say(page.status, "The server is behind by two seconds.");
    }
  }

  hear(answer) {
    this.waiting -= 1;
    if (this.behind && this.waiting < BEHIND / 2) {
      this.behind = false;
      say(page.status, "Listening.");
    }
    if (answer.error) {
      this.wrong = answer.error;
      return;
    }
    if (answer.partial !== undefined) {
      page.partial.textContent = answer.partial;
      return;
    }
    page.partial.textContent = "";
    const silent = !answer.text && (answer.reason || "no speech") === "no speech";
    if (!silent) {
      const result = { words: answer.result || [], meaning: answer.interpretation,
        reason: answer.reason };
      add(result, wav(this.blocks, this.context.sampleRate), this.model);
    }
    this.blocks = [];
    if (this.ending) this.socket.close();
  }

  end() {
    this.ending = true;
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send('{"eof": 1}');
    for (const track of this.media ? this.media.getTracks() : []) track.stop();
    if (this.context) this.context.close();
    page.level.value = 0;
  }
}

function wav(blocks, rate) {
  const size = 2 * blocks.reduce((sum, block) => sum + block.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const write = (place, text) => [...text].forEach((c, i) => head.setUint8(place + i, c.charCodeAt(0)));
  write(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  write(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  write(36, "data");
  head.setUint32(40, size, true);
  return new File([head.buffer, ...blocks], "recording.wav", { type: "audio/wav" });
}

async function begin() {
  const fresh = new Listening();
  listening = fresh;
  page.listen.setAttribute("aria-pressed", "true");
  page.listen.textContent = "Stop listening";
  say(page.status, "Asking for the microphone …");
  try {
    await fresh.begin();
    say(page.status, "Listening.");
  } catch (error) {
    if (listening === fresh) stop(fresh.wrong || error.message);
  }
}

function stop(problem = "") {
  if (listening) listening.end();
  listening = null;
  page.listen.setAttribute("aria-pressed", "false");
  page.listen.textContent = "Start listening";
  say(page.status, problem, Boolean(problem));
}

page.listen.addEventListener("click", () => (listening ? stop() : begin()));

// --- files ------------------------------------------------------------------

function transcribe(file) {
  const model = page.model.value === OWN ? page.model.options[0].value : page.model.value;
  const form = new FormData();
  form.append("model", model);
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  if (page.model.value !== OWN) {
    for (const [name, value] of Object.entries(expected())) {
      form.append(name, name === "prompt" ? value : JSON.stringify(value));
    }
  }
  form.append("file", file, "file");
  const request = new XMLHttpRequest();
  request.open("POST", "/v1/audio/transcriptions");
  request.responseType = "json";
  page.progress.hidden = false;
  page.progress.value = 0;
  say(page["file-status"], `Sending ${file.name} …`);
  request.upload.onprogress = (event) => {
    page.progress.value = event.loaded / event.total;
  };
  request.upload.onload = () => {
    page.progress.removeAttribute("value"); // how long it takes is not known
    say(page["file-status"], `Recognising ${file.name} …`);
  };
  request.onloadend = () => {
    page.progress.hidden = true;
    page.file.value = "";
    const answer = request.response || {};
    if (request.status !== 200) {
      say(page["file-status"], (answer.error || {}).message || "The server did not answer.", true);
      return;
    }
    say(page["file-status"], `${file.name}: ${answer.words.length} words in ${answer.duration} s.`);
    const words = answer.words.map((word) => ({ ...word, conf: word.confidence ?? undefined }));
    const short = answer.duration <= KEPT ? file : null;
    add({ title: file.name, words, reason: "", segments: answer.segments }, short, model);
  };
  request.send(form);
}

page.file.addEventListener("change", () => {
  if (page.file.files.length) transcribe(page.file.files[0]);
});

for (const name of ["dragover", "dragleave", "drop"]) {
  page.drop.addEventListener(name, (event) => {
    event.preventDefault();
    page.drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) transcribe(event.dataTransfer.files[0]);
  });
}

start();
