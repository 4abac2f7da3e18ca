// The emulator's page: what lives, what happens, and the far end by hand. Everything it does goes through
// the emulator's own HTTP routes, so that a script can do the same.
"use strict";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
/** Lines that are kept on the page. */
const LINES = 2000;

const $ = (id) => document.getElementById(id);

/** An element with properties and children; texts are texts, never markup. */
function el(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", bad);
}

/** Asks a route. Throws what the emulator says. */
async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  let read = null;
  try {
    read = text ? JSON.parse(text) : null;
  } catch {
    throw new Error(`${answer.status}: ${text.slice(0, 200)}`);
  }
  if (!answer.ok) throw new Error(read?.error?.message ?? `the emulator answered ${answer.status}`);
  return read;
}

/** Does something and tells how it went. */
async function act(what, deed) {
  try {
    await deed();
    say(what);
  } catch (error) {
    say(`${what}: ${error.message}`, true);
  }
  await look();
}

// ---- calls and phones

const nameOf = (who) => who?.phoneNumber?.value ?? who?.communicationUser?.id ?? who?.rawId ?? "somebody";

function deed(server, raw, action, body) {
  const path = `/emulator/calls/${encodeURIComponent(server)}/participants/${encodeURIComponent(raw)}:${action}`;
  return act(`${action} ${raw.replace(/^4:/, "")}`, () => ask("POST", path, body));
}

/** Somebody at the far end: what can be done, by button and by key. */
function phone(server, who, state, rings) {
  const raw = who.rawId;
  const does = (action, body) => () => deed(server, raw, action, body);
  const words = el("input", { placeholder: "a phrase", ariaLabel: `What ${nameOf(who)} says`, size: 12 });
  words.dataset.keep = `${server} ${raw}`;
  const speak = () => {
    const text = words.value.trim();
    words.value = "";
    if (text) deed(server, raw, "say", { text });
  };
  words.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") speak();
    if (event.key === "Escape") words.closest(".phone").focus();
  });
  const acts = rings
    ? { a: ["Answer", does("answer")], d: ["Decline", does("decline")], b: ["Busy", does("busy")] }
    : { h: ["Hang up", does("hangup")] };
  const buttons = Object.values(acts).map(([label, action]) => el("button", { type: "button", onclick: action }, label));
  const card = el("div", { className: rings ? "phone rings" : "phone", tabIndex: 0 });
  card.dataset.phone = `${server} ${raw}`;
  card.setAttribute("aria-label", `Phone ${nameOf(who)}, ${state}`);
  card.append(el("strong", {}, nameOf(who)), el("span", { className: "state" }, state));
  if (!rings) {
    const key = (tone) => el("button", { type: "button", title: `press ${tone}`, onclick: does("press", { tones: tone }) }, tone);
    card.append(el("div", { className: "keypad" }, ...KEYS.map(key)));
    buttons.unshift(words, el("button", { type: "button", onclick: speak }, "Say"));
  }
  card.append(el("div", { className: "deeds" }, ...buttons));
  card.addEventListener("keydown", (event) => {
    if (event.target !== card || event.ctrlKey || event.metaKey || event.altKey) return;
    if (acts[event.key]) acts[event.key][1]();
    else if (!rings && KEYS.includes(event.key)) does("press", { tones: event.key })();
    else if (!rings && event.key === "s") words.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return card;
}

function participant(server, found) {
  const who = found.identifier ?? found;
  const call = found.callConnectionId;
  if (call) return el("p", { className: "app" }, `application ${call}`);
  const state = ["in the call", found.isMuted && "muted", found.isOnHold && "on hold"].filter(Boolean).join(", ");
  return phone(server, who, state, false);
}

function call(found) {
  const media = (leg) => [...leg.media.running, ...leg.media.queued.map((name) => `(${name})`)].join(" ");
  const legs = found.connections.map((leg) =>
    el("p", { className: "app" }, `${leg.callConnectionState}: ${leg.callConnectionId} ${media(leg)}`));
  const rings = found.ringing.map((ring) =>
    phone(found.serverCallId, ring.to, `rings for ${Math.floor(ring.ringingMs / 1000)} s, ${ring.reason === "incoming" ? "for your program to take" : ring.reason}`, true));
  const inside = found.participants.filter((each) => !each.callConnectionId);
  return el("article", { className: "call" },
    el("h3", { title: found.serverCallId }, found.correlationId),
    ...legs, ...inside.map((each) => participant(found.serverCallId, each)), ...rings);
}

let shown = "";

/** Looks at what lives, and shows it when it is not what is shown already. */
async function look() {
  let seen;
  try {
    seen = await ask("GET", "/emulator/calls");
  } catch (error) {
    say(`the emulator is not there: ${error.message}`, true);
    return;
  }
  const now = JSON.stringify(seen, (name, value) => (name === "ringingMs" ? Math.floor(value / 1000) : value));
  if (now === shown) return;
  shown = now;
  const focused = document.activeElement;
  const [phoneHad, wordsHad] = [focused?.dataset?.phone, focused?.dataset?.keep];
  const written = new Map([...document.querySelectorAll("[data-keep]")].map((each) => [each.dataset.keep, each.value]));
  $("calls").replaceChildren(...seen.calls.map(call));
  $("no-calls").hidden = seen.calls.length > 0;
  $("count").textContent = seen.calls.length || "";
  // Whoever is typing or pressing keys goes on undisturbed.
  for (const each of document.querySelectorAll("[data-keep]")) {
    each.value = written.get(each.dataset.keep) ?? "";
    if (each.dataset.keep === wordsHad) each.focus();
  }
  for (const each of document.querySelectorAll("[data-phone]")) if (each.dataset.phone === phoneHad) each.focus();
}

// ---- what happens

/** Members that name what it is about, which stand first and without their own name. */
const FIRST = ["type", "operation", "deed", "fault", "outcome", "status"];

/** What stands on a line: ids may be long, and are there whole when the line is opened. */
function short(value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 40 ? `${text.slice(0, 20)}…${text.slice(-8)}` : text;
}

/** A line of the trace: when, what, and the members that matter. */
function lineOf({ sequence, atMs, what, payload, ...rest }) {
  const there = (name) => rest[name] !== null && rest[name] !== undefined;
  const plain = (value) => String(value).replace(/^Microsoft\.Communication\./, "");
  const first = FIRST.filter(there).map((name) => plain(rest[name]));
  const others = Object.keys(rest).filter((name) => there(name) && !FIRST.includes(name));
  const told = others.map((name) => `${name}=${short(rest[name])}`);
  return { when: ((atMs ?? 0) / 1000).toFixed(3), text: [what, ...first, ...told].join(" ") };
}

function tone(entry) {
  const failed = entry.status >= 400 || ["refused", "timedOut", "unreachable"].includes(entry.outcome) || entry.what === "fault";
  if (failed) return "bad";
  return entry.outcome === "delivered" || entry.status < 300 ? "good" : "";
}

function show(entry) {
  const { when, text } = lineOf(entry);
  const line = el("li", { tabIndex: -1 }, el("span", { className: "at" }, `${when}  `), el("span", { className: tone(entry) }, text));
  line.dataset.text = `${text} ${JSON.stringify(entry.payload ?? "")}`.toLowerCase();
  line.hidden = !fits(line);
  const whole = () => {
    const open = line.querySelector("pre");
    if (open) open.remove();
    else line.append(el("pre", {}, JSON.stringify(entry, null, 2)));
  };
  line.addEventListener("click", (event) => event.target.closest("pre") || whole());
  line.addEventListener("keydown", (event) => event.key === "Enter" && whole());
  return line;
}

const fits = (line) => line.dataset.text.includes($("filter").value.trim().toLowerCase());

async function follow() {
  let after = 0;
  for (;;) {
    try {
      const page = await ask("GET", `/emulator/trace?payloads=true&after=${after}&waitMs=20000`);
      const next = page.next ?? after;
      if (next < after) $("trace").replaceChildren();
      after = next;
      const lines = page.value.map(show);
      if (lines.length) {
        $("trace").append(...lines);
        while ($("trace").childElementCount > LINES) $("trace").firstElementChild.remove();
        if ($("follow").checked) $("trace").scrollTop = $("trace").scrollHeight;
        await look();
      }
    } catch (error) {
      say(`the emulator is not there: ${error.message}`, true);
      await new Promise((again) => setTimeout(again, 1000));
    }
  }
}

// ---- faults

async function faults(change) {
  const now = await ask("GET", "/emulator/faults");
  const rules = (now.rules ?? []).map(({ struck, ...rule }) => rule);
  if (change) {
    await ask("PUT", "/emulator/faults", { ...(now.seed === undefined ? {} : { seed: now.seed }), rules: change(rules) });
    return faults();
  }
  $("fault-count").textContent = rules.length ? `${rules.length} set` : "";
  $("rules").replaceChildren(...(now.rules ?? []).map(({ struck, ...rule }, place) =>
    el("li", {}, `${JSON.stringify(rule)} struck ${struck ?? 0} times `,
      el("button", { type: "button", onclick: () => act("fault removed", () => faults((all) => all.filter((_, at) => at !== place))) }, "Remove"))));
  const select = $("fault").elements.fault;
  if (!select.options.length) select.append(...(now.known ?? []).map((name) => el("option", {}, name)));
}

function rule(form) {
  const { fault, on, only, percent, times } = Object.fromEntries(new FormData(form));
  const names = only.split(/[\s,]+/).filter(Boolean);
  const made = { fault, on, percent: Number(percent) };
  if (names.length) made[on === "response" ? "operations" : "types"] = names;
  if (times) made.times = Number(times);
  return made;
}

// ---- all together

function keys(event) {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const phones = [...document.querySelectorAll(".phone")];
  const at = phones.indexOf(document.activeElement);
  if (event.key === "r") $("ring").elements.to.focus();
  else if (event.key === "/") $("filter").focus();
  else if (event.key === "j" && phones.length) phones[(at + 1) % phones.length].focus();
  else if (event.key === "k" && phones.length) phones[(at + phones.length - (at < 0 ? 0 : 1)) % phones.length].focus();
  else return;
  event.preventDefault();
}

async function begin() {
  const about = await ask("GET", "/emulator/about");
  $("connection").value = about.connectionString;
  $("advance").hidden = !about.manualClock;
  $("clock").textContent = about.manualClock ? "held clock" : about.speed > 1 ? `time × ${about.speed}` : "";
  follow();
  setInterval(look, 1000);
  await Promise.all([look(), faults()]);
}

$("copy").addEventListener("click", () => act("copied", () => navigator.clipboard.writeText($("connection").value)));
$("reset").addEventListener("click", () => act("everything is forgotten", () => ask("POST", "/emulator/reset")));
$("advance").addEventListener("click", (event) => {
  const ms = Number(event.target.dataset.ms);
  if (ms) act(`${ms / 1000} s have passed`, () => ask("POST", "/emulator/clock:advance", { ms }));
});
$("ring").addEventListener("submit", (event) => {
  event.preventDefault();
  const wish = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value !== ""));
  act(`${wish.to} rings`, () => ask("POST", "/emulator/incoming-calls", wish));
});
$("sieve").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", () => {
  for (const line of $("trace").children) line.hidden = !fits(line);
});
$("clear").addEventListener("click", () => $("trace").replaceChildren());
$("trace").addEventListener("keydown", (event) => {
  const lines = [...$("trace").children].filter((line) => !line.hidden);
  const at = lines.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: Math.max(at - 1, 0), Home: 0, End: lines.length - 1 }[event.key];
  if (to === undefined) return;
  lines[to]?.focus();
  event.preventDefault();
});
$("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  act("fault added", () => faults((all) => [...all, rule(event.target)]));
});
$("no-faults").addEventListener("click", () => act("no faults any more", () => faults(() => [])));
document.addEventListener("keydown", keys);
begin().catch((error) => say(`the emulator is not there: ${error.message}`, true));
