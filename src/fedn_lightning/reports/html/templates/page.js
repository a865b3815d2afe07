"use strict";
// Zoom, pan and details of the timelines, and their filter. Without it the page still shows everything.
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800];
const LEAST = 15; // frames; closer nothing is to be seen

class Timeline {
  constructor(article) {
    this.article = article;
    this.svg = article.querySelector(".plot svg");
    this.ticks = article.querySelector(".ticks");
    this.readout = article.querySelector(".readout");
    this.frames = Number(article.dataset.frames);
    this.fps = Number(article.dataset.fps);
    this.view = [0, this.frames];
    this.fingers = new Map();
    this.listen();
  }

  listen() {
    const svg = this.svg;
    for (const button of this.article.querySelectorAll(".zoom button"))
      button.addEventListener("click", () => this.act(button.dataset.act));
    svg.addEventListener("keydown", (event) => {
      const act = { "+": "in", "=": "in", "-": "out", "0": "all", ArrowLeft: "left", ArrowRight: "right" }[event.key];
      if (act) { event.preventDefault(); this.act(act); }
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.frameAt(event.clientX));
    }, { passive: false });
    svg.addEventListener("dblclick", (event) => this.zoom(0.4, this.frameAt(event.clientX)));
    svg.addEventListener("pointerdown", (event) => { this.fingers.set(event.pointerId, event.clientX); this.tell(event); });
    svg.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"])
      svg.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
  }

  act(name) {
    const [a, b] = this.view, width = b - a, middle = (a + b) / 2;
    if (name === "in") this.zoom(0.5, middle);
    if (name === "out") this.zoom(2, middle);
    if (name === "left") this.show(a - width / 5, b - width / 5);
    if (name === "right") this.show(a + width / 5, b + width / 5);
    if (name === "all") this.show(0, this.frames);
  }

  frameAt(x) {
    const box = this.svg.getBoundingClientRect();
    return this.view[0] + ((x - box.left) / box.width) * (this.view[1] - this.view[0]);
  }

  zoom(factor, at) {
    const [a, b] = this.view;
    const width = Math.min(Math.max((b - a) * factor, LEAST), this.frames);
    const start = at - ((at - a) / (b - a)) * width;
    this.show(start, start + width);
  }

  show(from, to, remember = true) {
    const width = Math.min(to - from, this.frames);
    const start = Math.min(Math.max(from, 0), this.frames - width);
    this.view = [start, start + width];
    this.svg.setAttribute("viewBox", `${start} 0 ${width} 100`);
    this.draw();
    if (!remember) return;
    const [a, b] = this.view.map((frame) => (frame / this.fps).toFixed(1));
    const hash = width >= this.frames ? this.article.id : `${this.article.id}@${a}-${b}`;
    history.replaceState(null, "", `#${hash}`); // so that a moment can be sent to somebody
  }

  draw() {
    const [a, b] = this.view.map((frame) => frame / this.fps);
    const step = STEPS.find((each) => (b - a) / each <= 9) || 3600;
    this.ticks.replaceChildren();
    for (let k = Math.ceil(a / step); k * step <= b; k++) {
      const tick = document.createElement("span");
      tick.textContent = `${Number((k * step).toFixed(1))} s`;
      tick.style.left = `${((k * step - a) / (b - a)) * 100}%`;
      this.ticks.append(tick);
    }
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (before === undefined) { this.tell(event); return; }
    const width = this.svg.getBoundingClientRect().width, [a, b] = this.view;
    if (this.fingers.size === 1) {
      const shift = ((before - event.clientX) / width) * (b - a);
      this.show(a + shift, b + shift);
    } else {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = Math.max(Math.abs(event.clientX - other), 8);
      this.zoom(Math.max(Math.abs(before - other), 8) / apart, this.frameAt((event.clientX + other) / 2));
    }
    this.fingers.set(event.pointerId, event.clientX);
  }

  tell(event) {
    const bar = event.target.closest("rect[data-i]");
    for (const lit of this.svg.querySelectorAll(".on")) lit.classList.remove("on");
    if (!bar) return;
    bar.classList.add("on");
    const row = this.article.querySelector("tbody").rows[Number(bar.dataset.i)];
    const heads = [...this.article.querySelectorAll("thead th")].map((cell) => cell.textContent);
    this.readout.textContent = [...row.cells]
      .map((cell, k) => (k > 2 && k < 6 ? `${heads[k]} ${cell.textContent}` : cell.textContent))
      .filter((text) => text.trim() && !text.endsWith(" ")).join(" · ");
  }
}

const timelines = new Map();
for (const article of document.querySelectorAll(".video")) timelines.set(article.id, new Timeline(article));

const subject = document.querySelector("#subject"), wrong = document.querySelector("#wrong");
function filter() {
  let shown = 0;
  for (const { article } of timelines.values()) {
    article.hidden = Boolean((subject.value && article.dataset.subject !== subject.value) ||
      (wrong.checked && article.dataset.wrong === "0"));
    shown += article.hidden ? 0 : 1;
  }
  document.querySelector("#shown").textContent = `${shown} of ${timelines.size} videos`;
}
if (subject) {
  subject.addEventListener("change", filter);
  wrong.addEventListener("change", filter);
  filter();
}

function follow() { // #v3@12.0-15.5: seconds 12 to 15.5 of a video
  const [, id, from, to] = /^#(v\d+)(?:@([\d.]+)-([\d.]+))?$/.exec(decodeURIComponent(location.hash)) || [];
  const timeline = timelines.get(id);
  if (!timeline) return;
  if (timeline.article.hidden) { subject.value = ""; wrong.checked = false; filter(); }
  if (from) timeline.show(from * timeline.fps, to * timeline.fps, false);
  timeline.article.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", follow);
follow();
