"use strict";
// Draws everything from the records in #data. Their text is added as text, never as markup.
const run = JSON.parse(document.getElementById("data").textContent);
const CHUNK = 200;

// ---- elements and units ----
const el = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
};
const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const duration = (us) => {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : 1)} ms`;
  if (us < 120e6) return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
  return us < 7200e6 ? `${(us / 60e6).toFixed(1)} min` : `${(us / 3600e6).toFixed(1)} h`;
};
const bytes = (count) => (count < 1 << 20 ? `${Math.round(count / 1024)} KiB` : `${(count / (1 << 20)).toFixed(1)} MiB`);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const group = (verdict) => (verdict === "flaky" ? "passed" : verdict === "passed" || verdict === "skipped" ? verdict : "failed");
const facts = (list, pairs) => {
  for (const [name, value] of pairs) if (value !== undefined && value !== null && value !== "") list.append(el("dt", {}, name), el("dd", {}, value));
};

// ---- the head ----
const counts = { failed: 0, skipped: 0, passed: 0 };
const tests = run.tests.filter((test) => !test.is_fixture);
for (const test of tests) counts[group(test.verdict)] += 1;
const failedFixtures = run.tests.filter((test) => test.is_fixture && group(test.verdict) === "failed").length;
const failures = counts.failed + failedFixtures + run.unmet.length;
document.getElementById("suite").textContent = run.suite;
document.getElementById("outcome").append(
  el("strong", { class: failures ? "failed" : "passed" }, failures ? "Failed" : "Passed"),
  ` — ${plural(tests.length, "test")}: ${counts.failed} failed, ${counts.passed} passed, ${counts.skipped} skipped, in ${duration(run.took_us)}`,
);
facts(document.getElementById("facts"), [
  ["Seed", run.seed], ["Sweep", run.sweep], ["Commit", run.commit], ["Began", run.started_at], ["Isolation", run.isolation], ["Profile", run.profile],
]);
facts(document.querySelector("#environment dl"), [
  ...run.sandbox.map(([part, enforced, detail]) => [part, `${enforced ? "✓" : "✗"} ${detail}`]), ["Machine", run.machine], ["Harness", run.harness],
]);
if (run.unmet.length) {
  const section = document.getElementById("unmet");
  section.hidden = false;
  section.querySelector("ul").append(...run.unmet.map((text) => el("li", {}, text)));
}

if (run.oracles.length) {
  const section = document.getElementById("oracles");
  section.hidden = false;
  section.querySelector("tbody").append(...run.oracles.map((oracle) => el("tr", {},
    el("td", {}, `${oracle.kind}!`), el("td", {}, oracle.message), el("td", { class: "mono" }, `${oracle.file}:${oracle.line}`),
    el("td", {}, plural(oracle.reached_cases, "case")), el("td", { class: oracle.held_cases ? undefined : "skipped" }, oracle.kind === "reachable" ? "" : plural(oracle.held_cases, "case")))));
}

// ---- the list of tests ----
const chosen = new Set(["failed", "skipped", "passed"]);
for (const name of chosen) {
  const box = el("input", { type: "checkbox", checked: "", value: name });
  box.addEventListener("change", () => { box.checked ? chosen.add(name) : chosen.delete(name); show(); });
  document.getElementById("verdicts").append(el("label", { class: name }, box, ` ${name} (${counts[name]})`));
}
const list = document.getElementById("tests");
const more = document.getElementById("more");
let selected = [];
let shown = 0;
const orders = {
  name: (a, b) => (a.name < b.name ? -1 : 1),
  duration: (a, b) => b.duration_us - a.duration_us,
  verdict: (a, b) => Object.keys(counts).indexOf(group(a.verdict)) - Object.keys(counts).indexOf(group(b.verdict)) || orders.name(a, b),
};
function show() {
  const words = document.getElementById("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (test) => {
    const text = `${test.name} ${test.tags.join(" ")} ${test.message} ${test.verdict}`.toLowerCase();
    return chosen.has(group(test.verdict)) && words.every((word) => text.includes(word));
  };
  selected = run.tests.filter(matches).sort(orders[document.getElementById("order").value]);
  shown = 0;
  list.replaceChildren();
  document.getElementById("count").textContent = selected.length === run.tests.length ? plural(selected.length, "test") : `${selected.length} of ${plural(run.tests.length, "test")}`;
  showMore();
}
function showMore() {
  const next = selected.slice(shown, shown + CHUNK);
  list.append(...next.map(row));
  shown += next.length;
  const left = selected.length - shown;
  more.hidden = left === 0;
  more.textContent = `Show ${Math.min(left, CHUNK)} more of ${left}`;
}
function row(test) {
  const summary = el("summary", {},
    el("span", { class: `verdict ${group(test.verdict)}` }, test.verdict.replaceAll("_", " ")),
    el("span", { class: "name" }, test.name),
    el("span", { class: "time" }, test.cases ? `${plural(test.cases.total, "case")}` : duration(test.duration_us)));
  if (test.message) summary.append(el("span", { class: "why" }, test.message));
  const details = el("details", { class: "test", id: test.name }, summary);
  const fill = () => { if (details.children.length === 1) details.append(body(test)); };
  details.addEventListener("toggle", fill);
  if (group(test.verdict) === "failed" && selected.indexOf(test) < 5) { details.open = true; fill(); }
  return details;
}
document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("words").addEventListener("input", show);
document.getElementById("order").addEventListener("change", show);
more.addEventListener("click", showMore);
if ("IntersectionObserver" in window) {
  new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting) && !more.hidden) showMore(); }).observe(more);
}

// ---- one test ----
function body(test) {
  const box = el("div", { class: "body" });
  const record = test.record;
  if (test.tags.length) box.append(el("p", {}, ...test.tags.map((tag) => el("span", { class: "tag" }, tag))));
  if (test.cases) box.append(...sweep(test.cases));
  if (!record) {
    box.append(el("p", { class: "notice" }, "Its record was left out to keep the file small. The command below runs it again; add `--html FILE` for a page of this test alone."), again(test.replay_command));
    return box;
  }
  if (record.description) box.append(el("p", {}, record.description));
  if (record.minimized) box.append(el("p", {}, el("strong", {}, record.minimized.description)));
  box.append(again(record.replay_command));
  if (test.hints.length) box.append(el("ul", { class: "notice" }, ...test.hints.map((hint) => el("li", {}, hint))));
  box.append(...drawing(record, test.subjects), ...explorations(record));
  if (record.faults.length) box.append(el("h3", {}, "Faults"), faults(record));
  box.append(events(record));
  section(box, "Threads when the test was asked to end", record.hung_threads.map((hung) => `${hung.thread}: ${hung.state}${hung.system_call ? ` in ${hung.system_call}` : ""}`));
  const { leaks } = record;
  section(box, "Left behind", [...leaks.processes.map((name) => `process ${name}`), ...leaks.threads.map((name) => `thread ${name}`), ...leaks.descriptors.map((name) => `descriptor ${name}`), ...leaks.files.map((name) => `file ${name}`)]);
  section(box, "Left behind, and allowed", leaks.allowed);
  section(box, "Oracles", record.oracles.map((oracle) => `${oracle.held ? "✓" : "✗"} ${oracle.kind}: ${oracle.message} (${oracle.file}:${oracle.line})`));
  if (record.output.text) {
    box.append(el("h3", {}, `Output (${record.output.total_bytes} bytes${record.output.omitted_bytes ? `, ${record.output.omitted_bytes} left out` : ""})`), el("pre", { tabindex: "0" }, record.output.text));
  }
  const list = el("dl");
  facts(list, [
    ["Source", `${record.file}:${record.line}`], ["Seed", `${record.seed} (root ${record.root_seed})`], ["Clock", record.clock], ["Took", duration(record.duration_us)],
    ["CPU time", record.resources.cpu_us === null ? undefined : duration(record.resources.cpu_us)],
    ["Peak memory", record.resources.peak_memory_bytes === null ? undefined : bytes(record.resources.peak_memory_bytes)], ["Kept in", record.kept_dir],
  ]);
  box.append(el("h3", {}, "Case"), list);
  return box;
}
function section(box, title, lines) {
  if (lines.length) box.append(el("h3", {}, title), el("ul", {}, ...lines.map((line) => el("li", {}, line))));
}
function again(command) {
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(command); button.textContent = "Copied"; } catch { button.textContent = "Select it by hand"; }
  });
  return el("p", {}, "Again: ", el("code", {}, command), " ", button);
}
function sweep(cases) {
  const text = `${plural(cases.total, "case")}: ${cases.failed} failed, ${cases.skipped} skipped.`;
  const parts = [el("p", {}, text)];
  const bad = new Set(cases.failing_seeds);
  if (cases.seeds > 1 && !cases.skipped) {
    // Neighbouring seeds share a cell where there are very many.
    const cells = Math.min(cases.seeds, 2000);
    const per = cases.seeds / cells;
    const first = BigInt(cases.first_seed);
    const failing = new Set([...bad].map((seed) => Math.floor(Number(BigInt(seed) - first) / per)));
    const grid = el("ul", { class: "seeds", role: "img", "aria-label": `${cells} cells, one for each ${Math.ceil(per)} seeds; ${failing.size} with failures` });
    for (let cell = 0; cell < cells; cell += 1) grid.append(el("li", failing.has(cell) ? { class: "bad" } : {}));
    grid.setAttribute("role", "img");
    parts.push(grid);
  }
  if (bad.size) parts.push(el("details", {}, el("summary", {}, "Failing root seeds"), el("p", { class: "mono" }, cases.failing_seeds.join(", "))));
  return parts;
}
// A strip for each exploration: a cell for each call of the operation, red if the invariant broke.
function explorations(record) {
  return record.timeline.filter((event) => event.event === "explored").map((event) => {
    const calls = event.calls ?? [];
    const label = (call, place) => `${place + 1}. ${call.call}: ${call.invariant_broken ? "the invariant broke" : call.points ? `held at ${plural(call.points, "point")}` : call.exempt ? "no point of its own" : "not reached"}`;
    const kind = (call) => (call.invariant_broken ? "bad" : call.points ? "good" : "none");
    const result = calls.some((call) => call.invariant_broken) ? "" : calls.some((call) => !call.points && !call.exempt) ? " It ended before the first of the calls that were not reached." : " The invariant held.";
    const strip = el("div", { class: "points", role: "img", "aria-label": `${plural(calls.length, "call")}, ${calls.filter((call) => call.invariant_broken).length} of them with a broken invariant; they are below as text` },
      ...calls.map((call, place) => el("i", { class: kind(call), title: label(call, place) })));
    const possible = event.all_states || !event.power_loss ? "" : event.possible_states > 1e18 ? " of more than 10^18" : ` of about ${event.possible_states.toLocaleString("en")}`;
    const power = event.states ? `, and ${event.all_states && result ? "all " : ""}${plural(event.states, "state")}${possible} after a power loss${event.power_loss ? `, under ${event.power_loss}` : ""}` : "";
    const took = event.took_us ? ` It took ${duration(event.took_us)}.` : "";
    const posix = event.breaks_under_posix ? el("p", {}, `Would break under posix: ${event.breaks_under_posix}`) : "";
    const list = el("details", {}, el("summary", {}, "These calls as text"), el("ol", { class: "mono" }, ...calls.map((call, place) => el("li", { class: call.invariant_broken ? "failed" : undefined }, label(call, place).replace(/^\d+\. /, "")))));
    return el("div", {}, el("p", {}, `Explored ${plural(event.points, "point")} of ${plural(event.total_calls, "call")}${power}.${result}${took}`), posix, strip, list);
  });
}
function faults(record) {
  const when = (id, kind) => record.timeline.find((event) => event.event === kind && (event.fault ? event.fault.id : event.fault_id) === id);
  const rows = record.faults.map((fault) => {
    const from = when(fault.id, "fault_injected");
    const to = when(fault.id, "fault_undone");
    const how = to ? `${duration(clock(record)(to))}: ${undone(to)}` : "still in effect when the test ended";
    return el("tr", {}, el("td", {}, String(fault.id)), el("td", {}, fault.description || fault.kind), el("td", { class: "time" }, from ? duration(clock(record)(from)) : ""), el("td", {}, how));
  });
  const head = el("tr", {}, ...["#", "Fault", "Injected at", "Undone at"].map((title) => el("th", { scope: "col" }, title)));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Faults" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}
function undone(event) {
  switch (event.outcome) {
    case "restored": return "as before";
    case "superseded": return `superseded, found ${event.found}`;
    case "never_applied": return `never took effect: ${event.error}`;
    case "failed": return `LEFT BEHIND: ${event.error}`;
    default: return event.outcome;
  }
}

// ---- events as text ----
function words(event) {
  switch (event.event) {
    case "started": return "started";
    case "note": case "measured": return event.text;
    case "mark": return `${event.lane}: ${event.label}`;
    case "log": return `${event.level} ${event.target}: ${event.message}${Object.entries(event.fields || {}).map(([key, value]) => ` ${key}=${value}`).join("")}`;
    case "fault_injected": return `fault ${event.fault.id}: ${event.fault.description || event.fault.kind}`;
    case "fault_omitted": return `fault ${event.fault.id} left out`;
    case "fault_undone": return `fault ${event.fault_id} undone: ${undone(event)}`;
    case "oracle_reached": return `${event.kind}: ${event.message} — ${event.holds ? "holds" : "does not hold"}`;
    case "explored": return `explored ${plural(event.points, "point")} of ${plural(event.total_calls, "call")}`;
    case "exploring": return `was exploring, ${event.progress}`;
    case "blocked": return `the body blocked all tasks for ${duration(event.duration_us)} of real time`;
    case "wall_clock_follows": return `the wall clock follows the clock from ${event.start} on`;
    case "auto_advanced": return `paused clock advanced by itself by ${duration(event.by_us)}${event.socket ? ` while ${event.socket} had ${plural(event.unread_bytes, "unread byte")}` : ` while ${plural(event.sockets, "socket")} ${event.sockets === 1 ? "was" : "were"} open`}`;
    case "clock_advanced": return `clock moved by ${duration(event.by_us)}`;
    case "panicked": return `${event.expected ? "expected panic" : "panic"}${event.location ? ` at ${event.location}` : ""}: ${event.message}`;
    case "skipped": return `skipped: ${event.reason}`;
    case "leak_allowed": return `leaks allowed: ${event.pattern}`;
    case "termination_requested": return "asked to end";
    case "leaked": return `left behind: ${[...event.threads, ...event.descriptors].join(", ")}`;
    case "finished": return "finished";
    case "unknown": return "an event that this version does not know";
    default: return event.event;
  }
}
function events(record) {
  const details = el("details", {}, el("summary", {}, `${plural(record.timeline.length, "event")} as text`));
  details.addEventListener("toggle", () => {
    if (details.children.length > 1) return;
    const head = el("tr", {}, ...["Real", "Virtual", "Thread", "Event"].map((title) => el("th", { scope: "col" }, title)));
    const rows = record.timeline.map((event) => el("tr", {},
      el("td", { class: "time" }, duration(event.at_us)), el("td", { class: "time" }, event.virtual_us === undefined ? "" : duration(event.virtual_us)), el("td", {}, event.thread), el("td", {}, words(event))));
    details.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Events" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows))));
  });
  return details;
}

// ---- the drawing ----
// The time of an event: virtual where virtual time has passed, else real.
function clock(record) {
  const virtual = record.timeline.some((event) => event.virtual_us > 0);
  return (event) => (virtual ? event.virtual_us ?? 0 : event.at_us);
}
// Common names of states; all others are neutral.
const BANDS = { closed: "good", open: "bad", half_open: "half", "half-open": "half", forced_open: "bad", ready: "good", running: "good", stopped: "bad" };
const WIDTH = 1000, LEFT = 170, LANE = 26;
function drawing(record, subjects) {
  const at = clock(record);
  const isVirtual = record.timeline.some((event) => event.virtual_us > 0);
  const end = Math.max(1, ...record.timeline.map(at));
  const x = (time) => LEFT + (time / end) * (WIDTH - LEFT - 12);
  const lanes = [...faultLanes(record, at, end), ...stateLanes(subjects, at, end), ...markLanes(record, at)];
  if (!lanes.length) return [];
  const height = lanes.length * LANE + 30;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Timeline of ${duration(end)} of ${isVirtual ? "virtual" : "real"} time: ${lanes.map((lane) => lane.title).join(", ")}. The events are below as text.` });
  const axis = svg("g", { class: "axis" });
  for (const time of ticks(end)) {
    const label = svg("text", { x: x(time), y: height - 8, "text-anchor": x(time) > WIDTH - 40 ? "end" : "middle" });
    label.textContent = time ? duration(time).replace(/\.0+ /, " ") : "0";
    axis.append(svg("line", { class: "grid", x1: x(time), x2: x(time), y1: 4, y2: height - 22 }), label);
  }
  const unit = svg("text", { x: 8, y: height - 8 });
  unit.textContent = isVirtual ? "virtual time" : "real time";
  axis.append(unit);
  picture.append(axis);
  lanes.forEach((lane, index) => {
    const top = 6 + index * LANE;
    const title = svg("text", { class: "lane", x: 8, y: top + 14 });
    title.textContent = lane.title.length > 25 ? `${lane.title.slice(0, 24)}…` : lane.title;
    picture.append(title, ...lane.draw(x, top));
  });
  return [el("h3", {}, "Timeline"), el("div", { class: "drawing", tabindex: "0", role: "region", "aria-label": "Timeline" }, picture)];
}
// Four to nine ticks from 0 on, in steps of 1, 2 or 5.
function ticks(end) {
  const rough = end / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((part) => part * power >= rough) * power);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, tick) => tick * step);
}
const titled = (shape, text) => { const title = svg("title"); title.textContent = text; shape.append(title); return shape; };
function caption(text, left, right, top, size = "") {
  const room = Math.floor((right - left - 8) / (size ? 5 : 6.2));
  if (room < 4) return [];
  const label = svg("text", { class: size, x: left + 4, y: top + 14 });
  label.textContent = text.length > room ? `${text.slice(0, room - 1)}…` : text;
  return [label];
}
function faultLanes(record, at, end) {
  return record.faults.map((fault) => {
    const from = record.timeline.find((event) => event.event === "fault_injected" && event.fault.id === fault.id);
    const to = record.timeline.find((event) => event.event === "fault_undone" && event.fault_id === fault.id && event.outcome !== "deferred");
    const text = fault.description || fault.kind;
    return { title: `fault ${fault.id}`, draw: (x, top) => {
      const left = x(from ? at(from) : 0);
      const right = Math.max(left + 3, x(to ? at(to) : end));
      const bar = svg("rect", { class: to ? "bar" : "bar left", x: left, y: top, width: right - left, height: LANE - 8, rx: 3 });
      const shapes = [titled(bar, `${text}\n${to ? `undone: ${undone(to)}` : "still in effect at the end"}`)];
      const captioned = caption(text, left, right, top);
      return captioned.length ? [...shapes, ...captioned] : [...shapes, ...captionNextTo(text, left, right, top)];
    } };
  });
}
function captionNextTo(text, left, right, top) {
  const toTheLeft = WIDTH - right < left - LEFT;
  const room = Math.floor((toTheLeft ? left - LEFT : WIDTH - right) / 6.2) - 2;
  const label = svg("text", toTheLeft ? { x: left - 5, y: top + 14, "text-anchor": "end" } : { x: right + 5, y: top + 14 });
  label.textContent = text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text;
  return [label];
}
// A row of states for each subject of state changes.
function stateLanes(subjects, at, end) {
  return subjects.map(({ message, name, changes }) => ({ title: [message, name].filter(Boolean).join(" "), changes })).map(({ title, changes }) => ({ title, draw: (x, top) => {
    const bands = [{ state: changes[0].from, from: 0, to: at(changes[0]), details: "" }, ...changes.map((change, index) => ({ state: change.to, from: at(change), to: changes[index + 1] ? at(changes[index + 1]) : end, details: change.details }))];
    return bands.flatMap((band) => {
      const [left, right] = [x(band.from), Math.max(x(band.from) + 2, x(band.to))];
      const kind = BANDS[band.state.toLowerCase()] ?? "other";
      const shape = svg("rect", { class: `band band-${kind}`, x: left, y: top, width: right - left, height: LANE - 8, "data-state": band.state });
      return [titled(shape, `${title}: ${band.state} from ${duration(band.from)} ${band.details}`), ...caption(band.state.replaceAll("_", " "), left, right, top)];
    });
  } }));
}
function markLanes(record, at) {
  const lanes = new Map();
  const put = (lane, event, kind) => { if (!lanes.has(lane)) lanes.set(lane, []); lanes.get(lane).push({ time: at(event), kind, text: words(event), label: event.event === "mark" ? event.label : "" }); };
  for (const event of record.timeline) {
    switch (event.event) {
      case "mark": put(event.lane, event, /^[2]\d\d\b/.test(event.label) ? "good" : /^5\d\d\b/.test(event.label) ? "bad" : /^4\d\d\b/.test(event.label) ? "warn" : "info"); break;
      case "log": put("logs", event, { ERROR: "bad", WARN: "warn", INFO: "info" }[event.level] ?? "other"); break;
      case "note": case "measured": put("notes", event, "info"); break;
      case "panicked": put("panics", event, event.expected ? "warn" : "bad"); break;
      case "oracle_reached": put("oracles", event, event.holds ? "good" : "warn"); break;
      case "blocked": put("blocked", event, "bad"); break;
      case "auto_advanced": put("clock moved", event, event.socket ? "bad" : "info"); break;
      case "clock_advanced": put("clock moved", event, "info"); break;
      case "termination_requested": put("asked to end", event, "bad"); break;
      default: break;
    }
  }
  return [...lanes].map(([title, all]) => ({ title, draw: (x, top) => {
    const marks = all.slice(0, 5000);
    // A label that does not change is written once, above its first mark.
    const changes = marks.filter((mark, index) => mark.label && mark.label !== marks[index - 1]?.label);
    const labels = changes.flatMap((mark, index) => {
      const next = changes[index + 1];
      return caption(mark.label, x(mark.time) - 9, next ? x(next.time) - 9 : WIDTH, top - 7, "small");
    });
    const low = marks.some((mark) => mark.label) ? 7 : 0;
    return [...labels, ...marks.map((mark) => titled(svg("circle", { class: `mark mark-${mark.kind}`, cx: x(mark.time), cy: top + 9 + low, r: 5 }), `${duration(mark.time)}: ${mark.text}`))];
  } }));
}
// `#name-of-a-test` opens that test anywhere in the list.
function jump() {
  const name = decodeURIComponent(location.hash.slice(1));
  const place = selected.findIndex((test) => test.name === name);
  if (place < 0) return;
  while (shown <= place) showMore();
  const details = document.getElementById(name);
  details.open = true;
  details.scrollIntoView();
}
addEventListener("hashchange", jump);
addEventListener("beforeprint", () => { for (const details of list.querySelectorAll("details.test")) if (details.querySelector(".failed")) details.open = true; });
show();
jump();
