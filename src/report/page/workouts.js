/* workouts */
$("workouts-about").textContent = `${count(o.shown_workouts)} of ${count(o.shared_workouts)} listed, ${o.shown_workouts < o.shared_workouts ? "those with the most conflicts and records (--workouts lists more, --user one person's)" : "most conflicts first"}. Each field of a workout comes from the record that knows it best.`;
const why = { agreed_start: "the start that most records agree on", written: "what people wrote", sport: "the most specific sport", sets: "the sets", best_recording: "the best recording", fills: "adds what better records lack", piece: "one piece of several" };
function showWorkout(x) {
  return [
    el("h3", {}, x.title || word(x.sport ?? x.id)),
    el("p", { class: "soft" }, `${when(x.start_ms, x.utc_offset_s)} ${zone(x.utc_offset_s)} · ${[word(x.sport ?? ""), km(x.distance_m), duration(x.moving_s)].filter(Boolean).join(" · ")} · ${x.user}`),
    el("h3", {}, "Records"), el("table", {}, el("tbody", {}, ...x.members.map(([name, role]) => el("tr", {}, el("td", { class: "wide" }, name), el("td", {}, { same: "the whole workout", part: "a part of it", whole: "this workout and another" }[role] || role))))),
    ...(x.conflicts.length ? [el("h3", {}, "Conflicts"), el("table", {}, el("tbody", {}, ...x.conflicts.map(([field, kind, kept, told, by]) => {
      const value = v => field === "start_time" ? when(Number(v) * 1000, x.utc_offset_s) : field === "distance_m" ? km(Number(v)) : field === "elapsed_s" ? duration(Number(v)) : word(v);
      return el("tr", {}, el("td", {}, word(field)), el("td", {}, `kept ${value(kept)}`), el("td", {}, `${value(told)}`), el("td", { class: "wide soft" }, `${by}, ${kind}`));
    })))] : []),
    ...(x.lineage.length ? [el("h3", {}, "Where each field comes from"), el("table", {}, el("tbody", {}, ...x.lineage.map(([name, reason, fields]) => el("tr", {}, el("td", { class: "wide" }, name, el("div", { class: "soft" }, why[reason] || reason)), el("td", { class: "wide soft" }, data.field_sets[fields].join(", "))))))] : [])];
}
const workoutDetail = makeDetail($("workout-detail"), $("workout-list"));
const workoutList = makeList($("workout-list"), "Workouts", x => [
  el("div", {}, el("span", {}, x.title || word(x.sport ?? x.id)), el("span", {}, x.conflicts.length ? el("span", { class: "tag conflict" }, many(x.conflicts.length, "conflict", "conflicts")) : "")),
  el("div", { class: "soft" }, el("span", {}, `${when(x.start_ms, x.utc_offset_s).slice(0, 16)} · ${word(x.sport ?? "")} · ${x.user}`), el("span", {}, many(x.members.length, "record", "records")))],
  (x, enter) => workoutDetail.show(showWorkout(x), enter));
for (const x of data.workouts) { x.text = [x.user, x.title, x.sport, when(x.start_ms, 0), ...x.members.map(m => m[0])].join(" ").toLowerCase(); x.sources = distinct(x.members.map(m => m[0].split(":")[0])).join(" + "); x.kinds = distinct(x.conflicts.map(c => `${c[0]}: ${c[1]}`)); }
makeFilters($("workout-tools"), "Search a person, an id, a title, a date", [
  { name: "Sport", values: distinct(data.workouts.map(x => x.sport)) }, { name: "Sources", values: distinct(data.workouts.map(x => x.sources)) },
  { name: "Conflict", values: distinct(data.workouts.flatMap(x => x.kinds)) }],
  (text, [sport, sources, kind]) => {
    const found = data.workouts.filter(x => (!text || x.text.includes(text)) && (!sport || x.sport === sport) && (!sources || x.sources === sources) && (!kind || x.kinds.includes(kind)));
    workoutList.set(found);
    workoutDetail.empty(found.length ? "Choose a workout." : "No workout matches these filters.");
    return `${count(found.length)} of ${count(data.workouts.length)}`;
  });
document.documentElement.dataset.ready = "yes";
