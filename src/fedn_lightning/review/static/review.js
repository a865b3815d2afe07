// The state of the page, the server, the video and the events. controls.js, which comes next, draws and starts.
"use strict";
const $ = (selector, root = document) => root.querySelector(selector);
const video = $("#video"), picture = $("#picture");
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};
// S: the state that the server gave last, and what the page alone knows.
const S = { id: "", state: null, line: null, events: [], at: 1, view: [1, 2], chosen: null, loop: null, frames: false, since: 0,
  curves: {}, drag: null, pending: 0, chain: Promise.resolve(), generation: 0 };

// ---------- time: frames are counted from 1; seconds are those of a player ----------
const count = () => S.line.n_frames;
const secondsOf = (n) => S.line.start + (S.line.times ? (S.line.times[n - 1] ?? S.line.times.at(-1) + 1 / S.line.fps) : (n - 1) / S.line.fps);
const frameAt = (seconds) => {
  if (!S.line.times) return clamp(Math.floor((seconds - S.line.start) * S.line.fps + 1e-3) + 1);
  let low = 0, high = count() - 1;
  while (low < high) { const mid = (low + high + 1) >> 1; if (S.line.times[mid] <= seconds - S.line.start + 1e-4) low = mid; else high = mid - 1; }
  return low + 1;
};
const clamp = (n) => Math.min(Math.max(1, Math.round(n)), count());
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(seconds % 1 ? 2 : 0).padStart(seconds % 1 ? 5 : 2, "0")}`;

// ---------- talking to the server ----------
async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status });
  return body;
}
const here = (rest) => `api/videos/${S.id}${rest}`;
function say(text) { $("#message").textContent = text; $("#message").hidden = !text; }
function saving() {
  $("#saved").textContent = S.pending ? "saving …" : "saved";
  $("#saved").classList.toggle("busy", S.pending > 0);
}
// Changes go out one after another, so that each finds the state that the one before left.
function send(body) {
  const id = S.id;
  S.pending += 1; saving();
  S.chain = S.chain.then(async () => {
    try {
      const state = await ask(`api/videos/${id}/changes`, { method: "POST", body: JSON.stringify(body), keepalive: true });
      if (S.pending === 1 && id === S.id) { adopt(state); say(""); }
    } catch (error) {
      say(error.status ? error.message : "The server does not answer; this change is NOT saved. Start fedn review again.");
      const state = await ask(`api/videos/${id}`).catch(() => null);
      if (state && id === S.id) adopt(state);
    } finally { S.pending -= 1; saving(); if (!S.pending) refreshQueue(); }
  });
  return S.chain;
}
function change(before, after) {
  S.events = S.events.filter((e) => e.id !== (before ?? after).id);
  if (after) { S.events.push(after); S.chosen = after.id; } else S.chosen = null;
  S.events.sort((a, b) => a.onset - b.onset || a.offset - b.offset);
  render();
  return send({ kind: "event", before, after });
}
function edit(fields) {
  const e = chosen();
  if (!e) return;
  const after = { ...e, state: "accepted", ...fields };
  if (after.apex !== null && (after.apex < after.onset || after.apex > after.offset)) after.apex = null;
  if (JSON.stringify(after) !== JSON.stringify(e)) change(e, after);
}
function adopt(state) {
  S.state = state; S.events = state.events;
  if (!chosen()) S.chosen = null;
  if (document.activeElement !== $("#subject")) $("#subject").value = state.subject;
  render();
}
let polling = false;
async function poll() {
  if (polling || document.hidden || S.pending || S.drag || !S.state) return;
  const id = S.id;
  polling = true; // a busy server must not be asked again before it has answered
  const state = await ask(here(`?since=${S.state.version}`)).catch(() => null);
  polling = false;
  if (state && id === S.id && !S.pending) { adopt(state); refreshQueue(); }
}

// ---------- opening a video ----------
async function refreshQueue() {
  const queue = await ask("api/queue").catch(() => null);
  if (!queue) return [];
  const text = (v) => `${v.done ? "✓ " : v.error ? "✗ " : ""}${v.subject === v.name ? v.name : `${v.subject} / ${v.name}`} · ${v.done ? `${v.accepted} kept` : `${v.open} open`}`;
  // While a person works, the order stays; it is sorted anew when the page is loaded.
  const order = [...$("#queue").options].map((option) => option.value);
  if (order.length) queue.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  $("#queue").replaceChildren(...queue.map((v) => make("option", { value: v.id, textContent: text(v), selected: v.id === S.id })));
  return queue;
}
async function open(id) {
  const generation = S.generation += 1;
  pause();
  Object.assign(S, { id, state: null, table: "", loop: null, chosen: null, curves: {}, frames: false, since: 0 });
  say("");
  const source = `media/${id}`; // the page comes with the first video's, so that its first frame waits for nothing
  if (video.getAttribute("src") !== source) video.src = source;
  video.hidden = false; picture.hidden = true;
  const state = await ask(`api/videos/${id}`);
  if (generation !== S.generation) return;
  S.state = state; S.events = state.events;
  S.line = { fps: state.fps || 30, start: 0, n_frames: state.n_frames || 1, times: null };
  S.at = 1; S.view = [1, count() + 1];
  if (!state.file || video.error || (video.readyState >= 2 && !video.videoWidth)) framesMode();
  if (state.error) say(`${state.error}; start fedn review with --media FOLDER that holds it.`);
  else if (state.notes.length) say(state.notes.join(" "));
  $("#queue").value = id; $("#subject").value = state.subject;
  $("#emotions").replaceChildren(...state.emotions.map((value) => make("option", { value })));
  $("#type").replaceChildren(...state.types.map((value) => make("option", { value, textContent: value })));
  location.hash = id;
  adopt(state);
  const first = S.events.find((e) => e.state === "open");
  if (first && !state.error) choose(first.id);
  // Reading the times of a long video keeps the server busy: the first frame comes first.
  if (!S.frames && video.readyState < 2) await new Promise((done) => { for (const name of ["loadeddata", "error"]) video.addEventListener(name, done, { once: true }); setTimeout(done, 3000); });
  if (generation !== S.generation) return;
  const line = state.error ? null : await ask(here("/timeline")).catch((error) => { say(error.message); });
  if (generation !== S.generation || !line) return;
  const whole = S.view[1] === count() + 1;
  S.line = line;
  if (whole) S.view = [1, count() + 1];
  if (!playing()) go(S.at);
  render(); fetchCurves();
}
function framesMode() {
  if (S.frames) return;
  S.frames = true; video.hidden = true; picture.hidden = false;
  if (S.line) go(S.at);
}
video.addEventListener("error", () => { if (S.state?.error === "") framesMode(); });
video.addEventListener("loadeddata", () => { if (!video.videoWidth) framesMode(); });

// ---------- showing one frame, playing ----------
let wanted = null;
function show(n) {
  if (S.frames || S.since) {
    const query = S.since ? `?face=${chosen()?.face ?? 1}&since=${S.since}` : "";
    picture.src = `frames/${S.id}/${n}${query}`;
  } else {
    const target = (secondsOf(n) + secondsOf(n + 1)) / 2; // the middle of the frame's time: no rounding shows another one
    if (video.seeking) wanted = target; else video.currentTime = target;
  }
}
video.addEventListener("seeked", () => { if (wanted !== null) { const target = wanted; wanted = null; video.currentTime = target; } });
function go(n, keep = false) { S.at = clamp(n); show(S.at); if (!keep && playing()) pause(); head(); }
const playing = () => !video.paused || timer !== null;
let timer = null;
function pause() { video.pause(); clearInterval(timer); timer = null; $("#play").textContent = "Play"; }
function play() {
  if (playing()) { pause(); go(S.at); return; }
  if (S.at >= count()) go(1);
  $("#play").textContent = "Pause";
  if (!S.frames && !S.since) { video.playbackRate = Number($("#speed").value); video.play().catch(() => pause()); return; }
  let last = performance.now(), exact = S.at;
  timer = setInterval(() => {
    const now = performance.now();
    exact += (now - last) / 1000 * S.line.fps * Number($("#speed").value); last = now;
    if (!picture.complete || Math.floor(exact) === S.at) return;
    if (S.loop && exact > S.loop[1]) exact = S.loop[0];
    else if (exact >= count()) { pause(); return; }
    S.at = clamp(Math.floor(exact)); show(S.at); head();
  }, 15);
}
function shown(seconds) {
  if (!S.line || S.frames || S.since || video.paused) return;
  S.at = frameAt(seconds);
  if (S.loop && (S.at > S.loop[1] || S.at < S.loop[0] - 2)) { S.at = S.loop[0]; show(S.at); }
  head();
}
if ("requestVideoFrameCallback" in video) {
  const each = (now, data) => { shown(data.mediaTime); video.requestVideoFrameCallback(each); };
  video.requestVideoFrameCallback(each);
} else video.addEventListener("timeupdate", () => shown(video.currentTime));
video.addEventListener("ended", () => { if (S.loop) { go(S.loop[0], true); video.play(); } else pause(); });
function loop() {
  const e = chosen();
  if (S.loop || !e) { S.loop = null; pause(); $("#speed").value = "1"; } else {
    const around = Math.round(0.3 * S.line.fps);
    S.loop = [clamp(e.onset - around), clamp(e.offset + around)];
    $("#speed").value = "0.25";
    pause(); go(S.loop[0]); play();
  }
  $("#loop").setAttribute("aria-pressed", String(Boolean(S.loop)));
}
function magnify() {
  const e = chosen();
  pause();
  S.since = S.since || !e ? 0 : e.onset;
  $("#magnify").setAttribute("aria-pressed", String(Boolean(S.since)));
  video.hidden = S.frames || S.since > 0; picture.hidden = !video.hidden;
  show(S.at);
}

// ---------- events ----------
const chosen = () => S.events.find((e) => e.id === S.chosen);
function choose(id) {
  S.chosen = id;
  const e = chosen();
  if (!e) return render();
  if (S.since) { S.since = e.onset; }
  if (S.loop) { S.loop = null; pause(); $("#loop").setAttribute("aria-pressed", "false"); }
  const margin = Math.max(2 * S.line.fps, 2 * (e.offset - e.onset));
  const small = e.offset + 1 - e.onset < 0.03 * (S.view[1] - S.view[0]); // too small to take hold of its ends
  if (e.onset < S.view[0] || e.offset > S.view[1] || small) look(e.onset - margin, e.offset + margin);
  go(e.apex ?? e.onset);
  render();
}
function walk(step, open = false) {
  const events = open ? S.events.filter((e) => e.state === "open") : S.events;
  if (!events.length) return;
  const from = S.events.indexOf(chosen());
  const place = from < 0 ? S.at : chosen().onset;
  const next = step > 0 ? events.find((e) => from < 0 ? e.onset >= place : S.events.indexOf(e) > from) ?? events[0]
    : events.findLast((e) => from < 0 ? e.onset < place : S.events.indexOf(e) < from) ?? events.at(-1);
  choose(next.id);
}
function decide(state) {
  const e = chosen();
  if (!e) return;
  change(e, { ...e, state });
  if (S.events.some((other) => other.state === "open")) walk(1, true);
}
function boundary(name, n) {
  const e = chosen();
  if (!e) return;
  if (name === "apex") edit({ apex: Math.min(Math.max(n, e.onset), e.offset) });
  else if (name === "onset") edit({ onset: n, offset: Math.max(n, e.offset) });
  else edit({ offset: n, onset: Math.min(n, e.onset) });
}
function create() {
  const length = Math.max(1, Math.round(0.5 * S.line.fps));
  change(null, { id: crypto.randomUUID(), onset: S.at, offset: clamp(S.at + length - 1), type: "micro", emotion: "", state: "accepted",
    apex: null, confidence: null, face: 1, emotion_self: "", action_units: "" });
}
function remove() {
  const e = chosen();
  if (!e) return;
  if (e.confidence === null) change(e, null); else decide("rejected");
}
function nextEmotion(step) {
  const words = S.state.emotions, at = words.indexOf(chosen()?.emotion);
  edit({ emotion: words[(at + step + words.length) % words.length] });
}
