// The timeline, what stands beside the video, keys and buttons. Uses what review.js defines.
"use strict";

// ---------- timeline ----------
function look(first, last) {
  const width = Math.min(Math.max(10, last - first), count());
  const start = Math.min(Math.max(1, first), count() + 1 - width);
  S.view = [start, start + width];
  drawLanes(); fetchCurves();
}
function zoom(factor) {
  const width = (S.view[1] - S.view[0]) * factor, at = Math.min(Math.max(S.at, S.view[0]), S.view[1]);
  const share = (at - S.view[0]) / (S.view[1] - S.view[0]);
  look(at - share * width, at + (1 - share) * width);
}
const x = (n) => `${100 * (n - S.view[0]) / (S.view[1] - S.view[0])}%`;
const part = (n) => `${100 * (n - 1) / count()}%`;
const frameUnder = (event, track, [first, last] = S.view) => {
  const box = track.getBoundingClientRect();
  return first + (event.clientX - box.left) / box.width * (last - first);
};
function lane(kind, name, ...children) {
  const track = make("div", { className: "track" }, ...children);
  return make("div", { className: `lane ${kind}` }, make("b", { textContent: name }), track);
}
const inView = (e) => e.offset >= S.view[0] - 1 && e.onset <= S.view[1];
function bar(e, editable) {
  const kind = `event ${e.type} ${editable ? e.state : ""} ${editable && e.id === S.chosen ? "selected" : ""}`;
  const element = make("div", { className: kind, title: `${e.type} ${e.emotion}, frames ${e.onset}–${e.offset}` },
    make("span", { className: "label", textContent: e.emotion || e.type }));
  place(element, e);
  element.dataset.id = e.id;
  if (editable) {
    if (e.apex !== null) element.append(make("span", { className: "apex", style: `left:${100 * (e.apex + .5 - e.onset) / (e.offset + 1 - e.onset)}%` }));
    for (const side of ["l", "r"]) element.append(make("span", { className: `handle ${side}` }));
  }
  return element;
}
function place(element, e) { element.style.left = x(e.onset); element.style.width = `calc(${x(e.offset + 1)} - ${x(e.onset)})`; }
function ticks() {
  const seconds = (S.view[1] - S.view[0]) / S.line.fps;
  const step = [.1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => seconds / s <= Math.max(3, innerWidth / 150)) ?? 1200;
  const first = secondsOf(Math.max(1, Math.ceil(S.view[0]))), out = [];
  for (let t = Math.ceil(first / step) * step; ; t += step) {
    const n = S.line.times ? frameAt(t) : (t - S.line.start) * S.line.fps + 1;
    if (n > S.view[1] || n >= count() + 1 || out.length > 40) return out;
    const share = (n - S.view[0]) / (S.view[1] - S.view[0]);
    if (share > .03 && share < .97) out.push(make("span", { className: "tick", style: `left:${x(n)}`, textContent: clock(Math.round(t * 100) / 100) }));
  }
}
function drawLanes() {
  if (!S.state) return;
  const marks = S.events.filter((e) => e.state !== "rejected").map((e) => make("i", { className: e.type, style: `left:${part(e.onset)};width:${100 * (e.offset + 1 - e.onset) / count()}%` }));
  const view = make("div", { className: "view", style: `left:${part(S.view[0])};width:${100 * (S.view[1] - S.view[0]) / count()}%` });
  const lanes = [lane("overview", "whole", view, ...marks), lane("ruler", "time", ...ticks())];
  if (!S.state.annotated) lanes.push(lane("found", "found", ...S.state.found.filter(inView).map((e) => bar(e, false))));
  lanes.push(lane("coder", S.state.coder, ...S.events.filter(inView).map((e) => bar(e, true))));
  if (S.state.unreliable.length) lanes.push(lane("spans", "unreliable", ...S.state.unreliable.map(([onset, offset, reason]) =>
    make("span", { className: "span", title: reason, style: `left:${x(onset)};width:calc(${x(offset + 1)} - ${x(onset)})` }))));
  const groups = { confidence: [], motion: [] };
  for (const name of Object.keys(S.curves)) groups[name.split("_")[0]]?.push(name);
  for (const [group, names] of Object.entries(groups)) if (names.length) {
    const canvas = make("canvas");
    const legend = names.map((name, k) => make("span", { textContent: name.slice(group.length + 1), style: `color:var(${COLOURS[k % COLOURS.length]})` }));
    lanes.push(lane("curve", group, canvas, make("div", { className: "legend" }, ...legend)));
    requestAnimationFrame(() => curve(canvas, names));
  }
  $("#lanes").replaceChildren(...lanes);
  $("#lanes").querySelectorAll(".track").forEach((track) => track.append(make("div", { className: "head" })));
  head();
}
const COLOURS = ["--macro", "--micro", "--good", "--warn", "--accent", "--bad", "--soft"];
function curve(canvas, names) {
  if (names.some((name) => !S.curves[name])) return; // another video's by now
  const box = canvas.getBoundingClientRect(), scale = devicePixelRatio || 1, style = getComputedStyle(document.body);
  canvas.width = box.width * scale; canvas.height = box.height * scale;
  const pen = canvas.getContext("2d");
  const motion = names[0].startsWith("motion");
  const top = Math.max(1e-9, ...names.flatMap((name) => S.curves[name].values), motion ? 0 : Math.max(...Object.values(S.state.threshold), 0));
  const at = (n) => (n - S.view[0]) / (S.view[1] - S.view[0]) * canvas.width, y = (v) => canvas.height * (1 - .94 * v / top);
  names.forEach((name, k) => {
    const { first, step, values } = S.curves[name];
    pen.strokeStyle = style.getPropertyValue(COLOURS[k % COLOURS.length]); pen.lineWidth = 1.3 * scale;
    pen.setLineDash([]); pen.beginPath();
    values.forEach((value, i) => pen.lineTo(at(first + i * step + step / 2), y(value)));
    pen.stroke();
    const threshold = S.state.threshold[name.split("_")[1]];
    if (!motion && threshold !== undefined) { pen.setLineDash([4 * scale, 3 * scale]); pen.beginPath(); pen.moveTo(0, y(threshold)); pen.lineTo(canvas.width, y(threshold)); pen.stroke(); }
  });
}
let waiting = 0;
function fetchCurves() {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const id = S.id, [first, last] = S.view.map(Math.round);
    const curves = await ask(here(`/curves?first=${first}&last=${last}`)).catch((error) => { say(error.message); return {}; });
    if (id === S.id) { S.curves = curves; if (!S.drag) drawLanes(); }
  }, 60);
}
function head() {
  if (!S.line) return;
  $("#where").textContent = `frame ${S.at} of ${count()} · ${clock(secondsOf(S.at))}`;
  if (playing() && (S.at > S.view[1] || S.at < S.view[0])) { const width = S.view[1] - S.view[0]; look(S.at - width / 10, S.at + width * .9); return; }
  for (const each of document.querySelectorAll("#lanes .head")) {
    each.style.left = each.closest(".overview") ? part(S.at + .5) : x(S.at + .5);
  }
}
$("#lanes").addEventListener("pointerdown", (down) => {
  const track = down.target.closest(".track");
  if (!track || down.button) return;
  const overview = track.closest(".overview"), handle = down.target.closest(".handle");
  const element = down.target.closest(".coder .event"), id = element?.dataset.id;
  down.preventDefault();
  document.activeElement?.blur();
  if (overview) {
    const n = frameUnder(down, track, [1, count() + 1]), width = S.view[1] - S.view[0];
    look(n - width / 2, n + width / 2); go(n);
    return;
  }
  if (!handle) {
    const found = down.target.closest(".found .event");
    if (id) choose(id); else if (found && S.events.some((e) => e.id === found.dataset.id)) choose(found.dataset.id);
    else go(Math.floor(frameUnder(down, track)));
    return;
  }
  if (S.chosen !== id) { S.chosen = id; element.classList.add("selected"); }
  pause();
  const e = chosen(), draft = { ...e };
  S.drag = { draft };
  $("#lanes").setPointerCapture(down.pointerId);
  const move = (event) => {
    const n = frameUnder(event, track);
    if (handle.classList.contains("l")) draft.onset = Math.min(clamp(Math.round(n)), draft.offset);
    else draft.offset = Math.max(clamp(Math.round(n) - 1), draft.onset);
    place(element, draft);
    go(handle.classList.contains("l") ? draft.onset : draft.offset);
  };
  const up = (event) => {
    for (const [name, action] of [["pointermove", move], ["pointerup", up], ["pointercancel", up]]) $("#lanes").removeEventListener(name, action);
    S.drag = null;
    if (event.type === "pointerup") edit({ onset: draft.onset, offset: draft.offset });
    render();
  };
  for (const [name, action] of [["pointermove", move], ["pointerup", up], ["pointercancel", up]]) $("#lanes").addEventListener(name, action);
});
$("#lanes").addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.shiftKey) return;
  event.preventDefault();
  const turn = event.deltaY || event.deltaX, width = S.view[1] - S.view[0];
  if (event.ctrlKey) zoom(turn > 0 ? 1.25 : .8); else look(S.view[0] + width * Math.sign(turn) / 10, S.view[1] + width * Math.sign(turn) / 10);
}, { passive: false });

// ---------- what stands beside the video ----------
function render() {
  if (S.drag || !S.state) return;
  const e = chosen(), open = S.events.filter((each) => each.state === "open").length;
  $("#none").hidden = Boolean(e); $("#editor").hidden = $("#crops").hidden = !e;
  $("#count").textContent = `${S.events.length} events, ${open} open`;
  $("#finish").textContent = S.state.done ? "Reopen video" : "Finish video";
  $("[data-do=undo]").disabled = !S.state.can_undo;
  if (e) {
    const score = e.confidence === null ? "by hand" : `score ${e.confidence.toFixed(2)}`;
    $("#title").textContent = `Frames ${e.onset}–${e.offset} · ${e.state} · ${score}`;
    $("#type").value = e.type;
    if (document.activeElement !== $("#emotion")) $("#emotion").value = e.emotion;
    $("#remove").textContent = e.confidence === null ? "Delete" : "Reject";
    $("#remove").hidden = e.confidence !== null;
    $("#words").replaceChildren(...S.state.emotions.map((word, k) => make("button", { textContent: word, title: k < 9 ? String(k + 1) : "", className: word === e.emotion ? "chosen" : "", onclick: () => edit({ emotion: word }) })));
    crops(e);
  }
  drawTable();
  drawLanes();
}
function drawTable() {
  const text = JSON.stringify([S.events, S.line.start]);
  for (const row of $("#rows").rows) row.classList.toggle("selected", row.dataset.id === S.chosen);
  if (text === S.table) return;
  S.table = text;
  $("#rows").replaceChildren(...S.events.map((each) => {
    const cells = [`${each.onset}–${each.offset}`, clock(secondsOf(each.onset)), each.type, each.emotion || "–", each.confidence?.toFixed(2) ?? "–", each.state];
    const row = make("tr", { className: `${each.state} ${each.id === S.chosen ? "selected" : ""}`, onclick: () => choose(each.id) }, ...cells.map((text) => make("td", { textContent: text })));
    row.dataset.id = each.id;
    return row;
  }));
}
let later = 0;
function crops(e) {
  clearTimeout(later); // whoever steps through events must not wait for pictures that nobody looks at
  later = setTimeout(showCrops, 120, e);
}
function showCrops(e) {
  const apex = e.apex ?? Math.round((e.onset + e.offset) / 2);
  const shown = [["onset", e.onset, ""], [e.apex === null ? "middle" : "apex", apex, ""], ["offset", e.offset, ""],
    [`${e.apex === null ? "middle" : "apex"}, motion × 4`, apex, `&since=${e.onset}`]];
  $("#crops").querySelectorAll("figure").forEach((figure, k) => {
    const [name, n, more] = shown[k], source = `frames/${S.id}/${n}?face=${e.face}${more}`;
    if ($("img", figure).getAttribute("src") !== source) $("img", figure).src = source;
    $("img", figure).alt = `${name}, frame ${n}`;
    $("button", figure).onclick = () => go(n);
    $("figcaption", figure).textContent = more ? name : `${name} ${n}`;
  });
}

// ---------- keys and buttons ----------
const step = (by) => () => open(($("#queue").options[$("#queue").selectedIndex + by] ?? $("#queue").selectedOptions[0]).value);
async function finish() {
  const was = S.state.done;
  await send({ kind: "done", after: !was });
  if (!was && S.state.done) step(1)();
}
const DO = {
  play, loop, magnify, finish, remove, back: () => go(S.at - 1), on: () => go(S.at + 1), back10: () => go(S.at - 10), on10: () => go(S.at + 10),
  accept: () => decide("accepted"), reject: () => decide("rejected"), undo: () => send({ kind: "undo" }), new: create,
  onset: () => boundary("onset", S.at), apex: () => boundary("apex", S.at), offset: () => boundary("offset", S.at),
  in: () => zoom(.5), out: () => zoom(2), all: () => look(1, count() + 1), previous: step(-1), next: step(1), help: () => $("#keys").showModal(),
  up: () => walk(-1), down: () => walk(1), kind: () => edit({ type: chosen()?.type === "macro" ? "micro" : "macro" }),
  word: () => nextEmotion(1), wordBack: () => nextEmotion(-1), first: () => go(1), last: () => go(count()),
};
const KEYS = [
  ["Space", "play", "play or pause"], ["ArrowLeft", "back", "one frame back"], ["ArrowRight", "on", "one frame on"],
  ["Shift+ArrowLeft", "back10", "ten frames back"], ["Shift+ArrowRight", "on10", "ten frames on"], ["Home", "first", "first frame"], ["End", "last", "last frame"],
  ["ArrowUp", "up", "event before"], ["ArrowDown", "down", "next event"], ["L", "loop", "loop the event slowly"], ["G", "magnify", "magnify the motion since the onset"],
  ["A", "accept", "accept, and go to the next open event"], ["R", "reject", "reject, and go to the next open event"],
  ["N", "new", "new event at this frame"], ["Delete", "remove", "delete an event made by hand, reject a found one"],
  ["I", "onset", "onset at this frame"], ["X", "apex", "apex at this frame"], ["O", "offset", "offset at this frame"],
  ["M", "kind", "macro or micro"], ["E", "word", "next emotion"], ["Shift+E", "wordBack", "emotion before"],
  ["Z", "undo", "undo the last change"], ["F", "finish", "finish the video, and open the next"], ["[", "previous", "video before"], ["]", "next", "next video"],
  ["+", "in", "zoom in"], ["-", "out", "zoom out"], ["0", "all", "whole video"], ["?", "help", "this list"],
];
const BY_KEY = Object.fromEntries(KEYS.map(([key, action]) => [key.toLowerCase(), action]));
$("#keys dl").append(...KEYS.flatMap(([key, , text]) => [make("dt", { textContent: key.replace("Arrow", "") }), make("dd", { textContent: text })]),
  make("dt", { textContent: "1 … 9" }), make("dd", { textContent: "one of the first emotions" }));
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select"), pressing = event.target.matches("button") && [" ", "Enter"].includes(event.key);
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || pressing || event.altKey || $("#keys").open || !S.line) return;
  const key = event.key === " " ? "space" : event.key.toLowerCase(), letter = /^[a-z]$/.test(key) || key.length > 1;
  if ((event.ctrlKey || event.metaKey) && key !== "z") return;
  const action = BY_KEY[`${event.shiftKey && letter ? "shift+" : ""}${key}`] ?? (key === "=" ? "in" : undefined);
  if (action) { event.preventDefault(); DO[action](); } else if (/^[1-9]$/.test(key) && chosen()) edit({ emotion: S.state.emotions[key - 1] ?? chosen().emotion });
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  if (event.detail) button.blur(); // so that the space bar plays after a click
  DO[button.dataset.do]();
});
$("#queue").addEventListener("change", (event) => { open(event.target.value); event.target.blur(); });
$("#speed").addEventListener("change", (event) => { video.playbackRate = Number(event.target.value); event.target.blur(); });
$("#type").addEventListener("change", (event) => { edit({ type: event.target.value }); event.target.blur(); });
$("#emotion").addEventListener("change", (event) => { edit({ emotion: event.target.value.trim().toLowerCase() }); event.target.blur(); });
$("#subject").addEventListener("change", (event) => { send({ kind: "subject", after: event.target.value }); event.target.blur(); });
addEventListener("resize", drawLanes);
addEventListener("beforeunload", (event) => { if (S.pending) event.preventDefault(); });
setInterval(poll, 1500);
document.addEventListener("visibilitychange", poll);
refreshQueue().then((queue) => {
  const asked = location.hash.slice(1), first = queue.find((v) => v.id === asked) ?? queue[0];
  if (first) open(first.id); else say("There is no video to review.");
});
