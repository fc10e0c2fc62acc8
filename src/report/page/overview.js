/* theme */
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

/* overview */
$("lead").textContent = `${many(o.activities.count, "record", "records")} from ${many(o.users, "person", "people")} → ${many(o.workouts.count, "workout", "workouts")}; ${count(o.shared_workouts)} of them ${o.shared_workouts === 1 ? "has" : "have"} more than one record. ${many(o.pairs.compared, "pair", "pairs")} compared: ${count(o.pairs.matches)} match, ${count(o.pairs.review)} to review, ${count(o.pairs.answered)} answered by you.`;
if (o.left_out.length) $("lead").after(el("p", { class: "about" }, "Not counted, because it could not be read:"), el("ul", {}, ...o.left_out.map(why => el("li", {}, why))));
const totalCards = (before, after) => [
  ["Workouts", before.count, after.count, ""], ["Distance", before.distance_km, after.distance_km, " km"], ["Time", before.time_h, after.time_h, " h"]].map(([name, was, is, unit]) =>
  el("div", { class: "card" },
    el("div", { class: "soft" }, name),
    el("div", { class: "big" }, count(is) + unit),
    el("div", { class: "soft" }, `${count(was)}${unit} before removing duplicates`),
    el("div", { class: "bars" }, el("span", {}, "before"), el("div", { class: "bar" }, el("i", { class: "over", style: "width:100%" })),
      el("span", {}, "after"), el("div", { class: "bar" }, el("i", { style: `width:${was ? 100 * is / was : 100}%` })))));
$("totals").append(...totalCards(o.activities, o.workouts));

$("map-about").textContent = `${data.every > 1 ? `One in ${count(data.every)} of ` : ""}${many(data.tracks, "track", "tracks")}, drawn from the data alone. Choose a place, drag, or move with the arrow keys; + and − zoom.`;

/* tables */
const table = (place, head, rows, empty) => {
  const t = typeof place === "string" ? $(place) : place;
  if (!rows.length) { t.append(el("tbody", {}, el("tr", {}, el("td", { class: "none" }, empty)))); return; }
  const cell = (tag, value, at) => el(tag, { class: head[at].n ? "n" : head[at].wide ? "wide" : null, scope: tag === "th" ? "col" : null }, value ?? "–");
  t.append(el("thead", {}, el("tr", {}, ...head.map((h, at) => cell("th", h.name, at)))),
    el("tbody", {}, ...rows.map(row => el("tr", {}, ...row.map((value, at) => cell("td", value, at))))));
};
const n = name => ({ name, n: true });
const w = name => ({ name, wide: true });
table("source-table", [w("Source"), n("Records"), n("Distance"), n("Time"), n("Also in another record")],
  o.sources.map(s => [s.source, count(s.activities.count), count(s.activities.distance_km) + " km", count(s.activities.time_h) + " h", percent(s.shared, s.activities.count)]), "There are no records.");
table("conflict-table", [w("Field"), w("Kind"), w("Record from"), n("Workouts")],
  o.conflicts.map(c => [word(c.field), { zone: "wrong time zone", hidden: "hidden start", unit: "miles taken for kilometres", value: "another value" }[c.kind] || c.kind, c.source, count(c.count)]), "No record disagrees with another.");
table("reject-table", [w("Source"), w("Kind"), w("Reason"), n("Count"), w("Example")],
  o.rejects.map(r => [r.source, r.kind, r.reason, count(r.count), el("code", {}, r.example)]), "Everything could be read.");
table("weight-table", [w("Comparison"), w("Level"), n("Of matches"), n("Of others"), n("Bits")],
  data.weights.flatMap(c => c.levels.map(([level, m, u, b], at) => [at ? "" : c.name, word(level), (100 * m).toFixed(2) + " %", (100 * u).toFixed(2) + " %", bits(b)])), "No weights were learned yet.");

if (o.clocks.length) {
  for (const part of document.querySelectorAll("#clocks, nav a[href='#clocks']")) part.hidden = false;
  const day = ms => new Date(ms).toISOString().slice(0, 10);
  const by = s => `${s < 0 ? "−" : "+"}${duration(Math.abs(s))}`;
  const why = c => ({ local_time: "local time written as UTC", clock: "the clock was off", copy: "a copy at another hour", end_for_start: "ends stamped as starts", answered: "as you said" }[c.why] || c.why);
  table("clock-table", [w("User"), w("Source"), w("Why"), w("Moved by"), w("From"), w("To"), n("Records")],
    o.clocks.map(c => [c.user, c.source, why(c), c.least_s === c.most_s ? by(c.least_s) : `${by(c.least_s)} to ${by(c.most_s)}`, day(c.from_ms), day(c.to_ms), count(c.records)]), "");
}
if (o.answered_odds.length) {
  $("answered").hidden = false;
  table("answered-table", [w("Pairs that you answered, by the odds they had"), n("Pairs"), n("The same")],
    o.answered_odds.map(line => [`from ${line.odds_from} to 1`, count(line.pairs), percent(line.same, line.pairs)]), "");
}

/* the live pipeline */
if (o.pipeline) {
  const { totals, users, all_users } = o.pipeline;
  const standings = [["there", "there"], ["duplicate", "there through another source"], ["loop", "uploaded by the pipeline"], ["unclear", "in an unknown state"], ["tier_blocked", "blocked by the tier"], ["failed", "failed"], ["missing", "never seen"]];
  const owed = counts => counts.tier_blocked + counts.failed + counts.missing;
  for (const part of document.querySelectorAll("#pipeline, nav a[href='#pipeline']")) part.hidden = false;
  $("pipeline-about").textContent = `It lacks ${count(owed(totals))} of ${many(totals.workouts, "workout", "workouts")} that it should have. longrun redrive previews sending them.`;
  $("pipeline-total").append(el("div", { class: "card" }, el("div", { class: "bars counted" }, ...standings.flatMap(([standing, name], at) => [
    el("span", {}, name), el("div", { class: "bar" }, el("i", { class: at < 4 ? null : "over", style: `width:${100 * totals[standing] / Math.max(1, totals.workouts)}%` })), el("span", {}, count(totals[standing]))]))));
  const preview = o.pipeline.preview.Ok, names = counts => Object.entries(counts).map(([name, runs]) => `${name} in ${many(runs, "run", "runs")}`).join(", ");
  if (preview) {
    const { boosters } = preview, says = [];
    says.push(`${count(preview.send)} of them would go now, in about ${many(Math.ceil(preview.takes_s / 60), "minute", "minutes")} at the usual pace.`);
    const uploads = Object.entries(preview.syncs).map(([to, n]) => `${count(n)} to ${to}`).join(", ");
    if (uploads) says.push(`Users would see uploads: ${uploads}.`);
    for (const [counts, what] of [[boosters.ask, "ask, and send a push for each run"], [boosters.keep_count, "keep count"], [boosters.read_clock, "take today for the day of the activity"], [boosters.unknown, "nobody here knows"]])
      if (Object.keys(counts).length) says.push(`Boosters that ${what}: ${names(counts)}.`);
    if (boosters.not_said) says.push(`No export names the boosters of ${many(boosters.not_said, "run", "runs")}.`);
    for (const [tier, of] of Object.entries(preview.tiers))
      says.push(`Tier ${tier}: ${many(of.users, "user", "users")} would spend ${many(of.syncs, "sync", "syncs")}${of.is_limited ? " of this month" : ""}.`);
    $("pipeline-preview").append(...says.map(text => el("p", {}, text)));
    const held = Object.entries(preview.held);
    if (held.length) table("pipeline-held", [w("Held because of"), n("Workouts"), w("Such as"), w("Why"), w("To send")],
      held.map(([reason, of]) => [word(reason), count(of.count), of.example, of.why, of.frees]), "");
    $("pipeline-held").parentElement.hidden = !held.length;
  } else {
    $("pipeline-held").parentElement.hidden = true;
    $("pipeline-preview").append(el("p", {}, `A redrive would send nothing now: ${o.pipeline.preview.Err}`));
  }
  const months = Object.entries(o.pipeline.months);
  if (months.length) {
    const { width, step, x, axis } = monthAxis(months[0][0], months.at(-1)[0]), height = 110, most = Math.max(...months.map(([, counts]) => counts.workouts));
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height + 20}`, role: "img", "aria-label": "Workouts by month: those that the pipeline has, and on top those that it would get and those that it lacks" });
    const says = boxes(drawing, months.flatMap(([month, counts]) => {
      const lacks = owed(counts), has = counts.workouts - lacks, gets = Math.min(lacks, preview?.months[month] || 0);
      return [[0, has, "after", 1], [has, gets, "before", .6], [has + gets, lacks - gets, "before", 1]].filter(([, n]) => n).map(([from, n, kind, opacity]) =>
        ({ x: x(month), y: height * (1 - (from + n) / most), width: Math.max(step - .5, .8), height: height * n / most, kind, opacity, isColumn: true, text: () => `${month}: the pipeline has ${many(has, "workout", "workouts")}, lacks ${count(lacks)} and would get ${count(gets)} of those` }));
    }));
    drawing.append(svg("text", { x: 0, y: 12 }, count(most)));
    axis(drawing, height + 14);
    const swatch = (kind, opacity, text) => el("span", {}, svg("svg", { viewBox: "0 0 10 10", class: "swatch" }, svg("rect", { width: 10, height: 10, class: kind, "fill-opacity": opacity })), ` ${text}`);
    $("pipeline-months").append(drawing, says, el("p", { class: "soft legend" }, swatch("after", 1, "the pipeline has"), swatch("before", .6, "would get now"), swatch("before", 1, "lacks and is held")));
  }
  table("pipeline-table", [w("User"), n("Workouts"), ...standings.map(([standing]) => n(word(standing))), w("Owed since")],
    users.map(u => [u.user_id, count(u.workouts), ...standings.map(([standing]) => count(u[standing])), u.first_owed?.slice(0, 10)]), "There are no workouts.");
  if (users.length < all_users) $("pipeline-table").append(el("caption", {}, `${count(users.length)} of ${count(all_users)} users, most owed first`));
}

/* overlaps */
for (const p of o.source_pairs) {
  const bins = p.offsets, most = Math.max(1, ...bins), width = 320, height = 84, step = width / bins.length;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height + 18}`, class: "hist", role: "img", "aria-label": `Start offsets of ${p.b} against ${p.a}` });
  const says = boxes(chart, bins.map((value, at) => {
    const h = value ? Math.max(1.5, height * Math.sqrt(value / most)) : 0, isOut = at === 0 || at === bins.length - 1, from = -300 + (at - 1) * 20;
    return { x: at * step + .5, y: height - h, width: step - 1, height: h, kind: isOut ? "out" : "in", isColumn: true, text: () => `${isOut ? (at ? "300 s or more" : "less than −300 s") : `${from} to ${from + 20} s`}: ${count(value)}` };
  }));
  const middle = step * (1 + 15);
  chart.append(svg("line", { x1: middle, x2: middle, y1: 0, y2: height, stroke: "currentColor", "stroke-width": .5, "stroke-dasharray": "3 3" }));
  for (const [text, x, anchor] of [["−5 min", step, "start"], ["0", middle, "middle"], ["+5 min", width - step, "end"]]) chart.append(svg("text", { x, y: height + 14, "text-anchor": anchor }, text));
  const drift = !p.people_fitted ? "not enough matches to tell" : p.drift_s_per_day === null ? `none (${many(p.people_fitted, "person", "people")})` : `${p.drift_s_per_day >= 0 ? "+" : "−"}${Math.abs(p.drift_s_per_day).toFixed(2)} s a day (${count(p.people_with_drift)} of ${many(p.people_fitted, "person", "people")})`;
  const fact = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
  $("pairs-of-sources").append(el("div", { class: "card" },
    el("h3", {}, p.a === p.b ? `${p.a}, uploaded twice` : el("span", {}, el("span", { class: "a" }, p.a), " and ", el("span", { class: "b" }, p.b))), chart, says,
    el("dl", {}, ...fact("Matches", count(p.matches)), ...fact("To review", count(p.review)),
      ...fact("Median", p.median_offset_s === null ? "–" : p.median_offset_s.toString().replace("-", "−") + " s"), ...fact("Clock drift", drift),
      ...fact("Wrong zone", count(p.shifted)), ...fact("Hidden start", count(p.hidden)))));
}
if (!o.source_pairs.length) $("pairs-of-sources").append(el("div", { class: "card none" }, "No two sources have the same workout."));

