"use strict";
const PIXELS = 330; // a second, as in timeline.py
const sound = document.getElementById("sound");
const playhead = document.getElementById("playhead");
const scroller = document.querySelector(".scroller");
const spans = [...document.querySelectorAll("[data-start]")];
let until = Infinity;

function play(button) {
  if (!sound) return;
  until = Number(button.dataset.end);
  sound.currentTime = Number(button.dataset.start);
  sound.play();
}

function show() {
  const now = sound.currentTime;
  const running = !sound.paused;
  if (running && now >= until) {
    sound.pause();
    until = Infinity;
  }
  for (const span of spans) {
    const inside = now >= Number(span.dataset.start) && now < Number(span.dataset.end);
    span.classList.toggle("playing", running && inside);
  }
  if (playhead) {
    playhead.hidden = false;
    playhead.style.left = `${now * PIXELS}px`;
    const seen = now * PIXELS - scroller.scrollLeft;
    if (running && (seen < 0 || seen > scroller.clientWidth - 40)) {
      scroller.scrollLeft = now * PIXELS - 60;
    }
  }
  if (!sound.paused) requestAnimationFrame(show);
}

// A narrow screen opens at the first word, not at the silence before it.
const first = document.querySelector(".word[data-start]");
if (scroller && first && first.offsetLeft > scroller.clientWidth / 2) {
  scroller.scrollLeft = first.offsetLeft - 20;
}
for (const span of spans) span.addEventListener("click", () => play(span));
if (sound) {
  sound.addEventListener("play", () => requestAnimationFrame(show));
  sound.addEventListener("pause", () => { until = Infinity; requestAnimationFrame(show); });
  sound.addEventListener("seeked", () => requestAnimationFrame(show));
}
