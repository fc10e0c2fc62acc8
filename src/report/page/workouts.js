/* workouts: columns of all, and what else is known of each in blocks */
$("workouts-about").textContent = `${count(o.shown_workouts)} of ${count(o.workouts.count)} listed${o.shown_workouts < o.workouts.count ? ": those with the most conflicts and records (--workouts lists more, --user one person's)" : ", most conflicts first"}. Each field of a workout comes from the record that knows it best.`;
const whyGiven = { agreed_start: "the start that most records agree on", written: "what people wrote", sport: "the most specific sport", sets: "the sets", best_recording: "the best recording", fills: "adds what better records lack", piece: "one piece of several" };
let workoutAt = null, shownWorkout = null, searchWorkouts = null;
function showWorkout(x, [members, lineage, conflicts], { words, field_sets }) {
  const name = at => members[at] ? `${words[members[at][0]]}:${x.ids[at]}` : "another record";
  return [
    el("h3", {}, x.title || word(x.sport ?? "workout")),
    el("p", { class: "soft" }, `${when(x.start_ms, x.utc_offset_s)} ${zone(x.utc_offset_s)} · ${[word(x.sport ?? ""), km(x.distance_m), duration(x.moving_s)].filter(Boolean).join(" · ")} · ${x.user}`),
    el("h3", {}, "Records"), el("table", {}, el("tbody", {}, ...members.map(([, role], at) => el("tr", {}, el("td", { class: "wide" }, name(at)), el("td", {}, { same: "the whole workout", part: "a part of it", whole: "this workout and another" }[words[role]] || words[role]))))),
    ...(conflicts.length ? [el("h3", {}, "Conflicts"), el("table", {}, el("tbody", {}, ...conflicts.map(([fieldAt, kind, kept, told, by]) => {
      const field = words[fieldAt];
      const value = v => field === "start_time" ? when(Number(v) * 1000, x.utc_offset_s) : field === "distance_m" ? km(Number(v)) : field === "elapsed_s" ? duration(Number(v)) : word(v);
      return el("tr", {}, el("td", {}, word(field)), el("td", {}, `kept ${value(kept)}`), el("td", {}, `${value(told)}`), el("td", { class: "wide soft" }, `${name(by)}, ${words[kind]}`));
    })))] : []),
    ...(lineage.length ? [el("h3", {}, "Where each field comes from"), el("table", {}, el("tbody", {}, ...lineage.map(([by, reason, fields]) => el("tr", {}, el("td", { class: "wide" }, name(by), el("div", { class: "soft" }, whyGiven[words[reason]] || words[reason])), el("td", { class: "wide soft" }, field_sets[fields].join(", "))))))] : [])];
}
const workoutDetail = makeDetail($("workout-detail"), $("workout-list"));
const workoutList = makeList($("workout-list"), "Workouts", at => {
  const x = workoutAt(at);
  return [
    el("div", {}, el("span", {}, x.title || word(x.sport ?? "workout")), el("span", {}, x.conflicts ? el("span", { class: "tag conflict" }, many(x.conflicts, "conflict", "conflicts")) : "")),
    el("div", { class: "soft" }, el("span", {}, `${when(x.start_ms, x.utc_offset_s).slice(0, 16)} · ${word(x.sport ?? "")} · ${x.user}`), el("span", {}, many(x.ids.length, "record", "records")))];
}, async (at, enter) => {
  shownWorkout = at;
  const [details, names] = await Promise.all([block(`workouts-${Math.floor(at / data.chunk)}`), block("names")]);
  if (shownWorkout === at) workoutDetail.show(showWorkout(workoutAt(at), details[at % data.chunk], names), enter);
});
async function loadWorkouts() {
  const [c, { users, words }] = await Promise.all([block("workouts"), block("names")]);
  const all = [...c.user.keys()], starts = new Float64Array(all.length);
  /* each start is that of the one before and so many seconds */
  c.start_s.reduce((before, more, at) => starts[at] = before + more, 0);
  workoutAt = at => ({ user: users[c.user[at]], title: c.title[at], sport: c.sport[at] === null ? null : words[c.sport[at]], start_ms: starts[at] * 1000, utc_offset_s: c.utc_offset_s[at], distance_m: c.distance_m[at], moving_s: c.moving_s[at], ids: c.ids[at], conflicts: c.conflicts[at] });
  all.sort((x, y) => c.conflicts[y] - c.conflicts[x] || c.ids[y].length - c.ids[x].length || starts[y] - starts[x]);
  const setName = set => set.map(source => words[source]).join(" + "), sets = c.source_sets.map(setName), kinds = c.kinds.map(([field, kind]) => `${words[field]}: ${words[kind]}`);
  const sports = distinct([...new Set(c.sport)].filter(sport => sport !== null).map(sport => words[sport]));
  /* what is searched, made when somebody searches */
  let texts = null;
  const text = at => { const x = workoutAt(at); return [x.user, x.title, x.sport, when(x.start_ms, 0), ...x.ids].join(" ").toLowerCase(); };
  searchWorkouts = makeFilters($("workout-tools"), "Search a person, an id, a title, a date", [{ name: "Sport", values: sports }, { name: "Sources", values: distinct(sets) }, { name: "Conflict", values: distinct(kinds) }],
    (wanted, [sport, sources, kind]) => {
      if (wanted) texts ??= c.user.map((_, at) => text(at));
      const found = all.filter(at => (!wanted || texts[at].includes(wanted)) && (!sport || (c.sport[at] !== null && words[c.sport[at]] === sport)) && (!sources || sets[c.sources[at]] === sources) && (!kind || c.kinds_of[at].some(k => kinds[k] === kind)));
      shownWorkout = null;
      workoutList.set(found);
      workoutDetail.empty(found.length ? "Choose a workout." : "No workout matches these filters.");
      return `${count(found.length)} of ${count(all.length)}`;
    });
}

