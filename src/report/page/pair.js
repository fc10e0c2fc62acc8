/* tracks and weights of a pair */
function mapOfPair(tracks) {
  const known = tracks.map(t => t.text ? { ...t, points: decode(t.text) } : null).filter(Boolean);
  if (!known.length) return null;
  const all = known.flatMap(t => t.points), narrow = Math.cos(all[0][0] / 1e5 * Math.PI / 180);
  const xs = all.map(p => p[1] * narrow), ys = all.map(p => -p[0]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = 560, height = 300, edge = 16, scale = Math.min((width - 2 * edge) / Math.max(x1 - x0, 1), (height - 2 * edge) / Math.max(y1 - y0, 1));
  const place = ([lat, lon]) => [(lon * narrow - (x0 + x1) / 2) * scale + width / 2, (-lat - (y0 + y1) / 2) * scale + height / 2];
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "map", role: "img", "aria-label": "Both tracks on one map" });
  known.forEach((t, index) => {
    const path = t.points.map(place).map(p => p.map(v => v.toFixed(1)).join(",")).join(" ");
    drawing.append(svg("polyline", { points: path, fill: "none", stroke: `var(--${t.color})`, "stroke-width": index ? 2 : 5, "stroke-opacity": index ? 1 : .45, "stroke-linejoin": "round" }));
    const [x, y] = place(t.points[0]);
    drawing.append(svg("circle", { cx: x, cy: y, r: 4.5, fill: `var(--${t.color})` }));
  });
  return drawing;
}
function waterfall(pair) {
  const width = Math.min(560, Math.max(300, innerWidth - 40)), left = width < 420 ? 140 : 190, right = 48, line = 25;
  let sum = 0;
  const steps = pair.weights.filter(([name, level]) => name === "prior" || level).map(([name, level, value]) => { const from = sum; sum += value; return { name: name === "prior" ? "prior" : `${name}: ${word(level)}`, from, to: sum, value }; });
  steps.push({ name: "sum", from: 0, to: pair.bits, value: pair.bits, sum: true });
  const low = Math.min(0, ...steps.flatMap(s => [s.from, s.to])), high = Math.max(1, ...steps.flatMap(s => [s.from, s.to]));
  const x = v => left + (v - low) / (high - low) * (width - left - right);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${steps.length * line + 6}`, role: "img", "aria-label": `Weights: ${steps.map(s => `${s.name} ${bits(s.value)}`).join(", ")}` });
  drawing.append(svg("line", { x1: x(0), x2: x(0), y1: 0, y2: steps.length * line, stroke: "currentColor", "stroke-opacity": .3 }));
  steps.forEach((s, at) => {
    const y = at * line + 4;
    drawing.append(svg("text", { x: 0, y: y + 13 }, s.name));
    drawing.append(svg("rect", { x: Math.min(x(s.from), x(s.to)), y, width: Math.max(1.5, Math.abs(x(s.to) - x(s.from))), height: line - 8, rx: 2, class: s.sum ? "sum" : s.value >= 0 ? "plus" : "minus" }));
    drawing.append(svg("text", { x: Math.max(x(s.from), x(s.to)) + 5, y: y + 13 }, bits(s.value)));
  });
  return drawing;
}
function command(text) {
  const copy = el("button", { type: "button", on: { click: () => navigator.clipboard?.writeText(text).then(() => { copy.textContent = "Copied"; }) } }, "Copy");
  return el("div", { class: "command" }, el("code", {}, text), copy);
}
const quoted = text => /^[\w.:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
const near = (x, y, share, least) => x === null || y === null || Math.abs(x - y) <= Math.max(least, share * Math.max(x, y));
/* why they are near or far, in sentences */
function because({ a, b, shift_s, weights }) {
  const lines = [], apart = (b.start_ms - a.start_ms) / 1000 - (shift_s || 0), seconds = [a, b].map(s => s.elapsed_s ?? s.moving_s);
  if (shift_s) lines.push(`One of them has the wrong time zone: the starts are ${zone(shift_s)} hours apart.`);
  const same = Math.min(seconds[0], apart + seconds[1]) - Math.max(0, apart), shorter = Math.min(...seconds);
  if (seconds.some(s => s === null || s === undefined)) lines.push(`They start ${duration(Math.abs(apart))} apart.`);
  else if (same > 0) lines.push(`They overlap for ${percent(Math.min(same, shorter), shorter)} of the shorter one, and start ${duration(Math.abs(apart))} apart.`);
  else lines.push(`They do not overlap: ${duration(-same)} lies between them.`);
  if (a.distance_m && b.distance_m) {
    const differ = Math.abs(a.distance_m - b.distance_m), share = differ / Math.max(a.distance_m, b.distance_m);
    lines.push(share < .02 ? "Their distances agree." : `Their distances differ by ${km(differ)} (${(100 * share).toFixed(0)} %).`);
  }
  if (a.sport && b.sport) lines.push(a.sport === b.sport ? `Both are a ${word(a.sport)}.` : `One is a ${word(a.sport)}, the other a ${word(b.sport)}.`);
  const said = weights.filter(([name, level]) => name !== "prior" && level), most = said.reduce((x, y) => y[2] > x[2] ? y : x, said[0]), least = said.reduce((x, y) => y[2] < x[2] ? y : x, said[0]);
  if (most && most[2] > 0) lines.push(`The strongest evidence for one workout: ${most[0]} (${word(most[1])}, ${bits(most[2])} bits).`);
  if (least && least[2] < 0) lines.push(`The strongest against it: ${least[0]} (${word(least[1])}, ${bits(least[2])} bits).`);
  return lines;
}
function showPair(p) {
  const { a, b } = p, offset = a.utc_offset_s ?? b.utc_offset_s ?? 0;
  const rows = [
    ["Title", a.title, b.title, true], ["Sport", word(a.sport ?? "–"), word(b.sport ?? "–"), a.sport === b.sport],
    ["Start", when(a.start_ms, offset), when(b.start_ms, offset), Math.abs(a.start_ms - b.start_ms) < 75000],
    ["Time zone", a.utc_offset_s === null ? null : zone(a.utc_offset_s), b.utc_offset_s === null ? null : zone(b.utc_offset_s), true], ["Start known to", word(a.start_quality), word(b.start_quality), true],
    ["Elapsed", duration(a.elapsed_s), duration(b.elapsed_s), near(a.elapsed_s, b.elapsed_s, .05, 30)],
    ["Moving", duration(a.moving_s), duration(b.moving_s), near(a.moving_s, b.moving_s, .05, 30)],
    ["Distance", km(a.distance_m), km(b.distance_m), near(a.distance_m, b.distance_m, .05, 20)],
    ["Heart rate", a.heart_rate_bpm && count(a.heart_rate_bpm) + " bpm", b.heart_rate_bpm && count(b.heart_rate_bpm) + " bpm", near(a.heart_rate_bpm, b.heart_rate_bpm, 0, 7)],
    ["Energy", a.calories_kcal && count(a.calories_kcal) + " kcal", b.calories_kcal && count(b.calories_kcal) + " kcal", near(a.calories_kcal, b.calories_kcal, .2, 5)],
    ["Device", a.device, b.device, true]];
  const apart = (b.start_ms - a.start_ms) / 1000;
  const facts = [`times in ${zone(offset)}`, `starts ${apart >= 0 ? "+" : "−"}${duration(Math.abs(apart))} apart`, p.shift_s ? `compared after a shift of ${zone(p.shift_s)} h` : null, p.clock_s ? `the second clock is ${p.clock_s} s ahead on that day` : null].filter(Boolean);
  const button = (answer, label, key) => el("button", { type: "button", "aria-pressed": String(answers.of(p) === answer), "aria-keyshortcuts": key, on: { click: () => decide(answer) } }, label, " ", el("kbd", {}, key));
  return [
    el("h3", {}, el("span", { class: "a" }, a.name), " and ", el("span", { class: "b" }, b.name)),
    el("p", {}, el("span", { class: "tag " + p.decision }, word(p.decision)), ` by ${p.reason}; odds ${odds(p.bits)} `, el("span", { class: "soft" }, `(${p.user}; ${facts.join("; ")})`)),
    el("div", { class: "answer", role: "group", "aria-label": "Your answer" }, button("same", "Same", "S"), button("different", "Different", "D"), button(null, "Skip", "X")),
    p.decision === "review" && p.alike > 1 ? el("p", { class: "soft" }, `${many(p.alike - 1, "other pair", "other pairs")} to review ${p.alike === 2 ? "agrees" : "agree"} and ${p.alike === 2 ? "differs" : "differ"} in the same way${p.alike_answered ? ` (${count(p.alike_answered)} answered so far)` : ""}: an answer here, and longrun dedupe --learn, count for all of them.`) : null,
    el("ul", {}, ...because(p).map(line => el("li", {}, line))),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, ""), el("th", { class: "a", scope: "col" }, a.name.split(":")[0]), el("th", { class: "b", scope: "col" }, b.name.split(":")[0]))),
      el("tbody", {}, ...rows.filter(r => r[1] || r[2]).map(r => el("tr", { class: r[3] ? null : "differs" }, el("th", { scope: "row" }, r[0]), el("td", { class: "wide" }, r[1] || "–"), el("td", { class: "wide" }, r[2] || "–"))))),
    mapOfPair([{ text: a.track, color: "a" }, { text: b.track, color: "b" }]), el("h3", {}, "Evidence, in bits"), waterfall(p),
    el("div", { class: "soft" }, "What a ", el("code", {}, "dedupe decide"), " of this pair alone looks like:"),
    command(`longrun dedupe decide --user ${quoted(p.user)} --pair ${quoted(a.name)} ${quoted(b.name)} same`)].filter(Boolean);
}
