/* people, and a page for each of them */
let personAt = null, peopleByName = new Map(), searchPeople = null;
const personLink = user => `#person=${encodeURIComponent(user)}`;
const peopleList = makeList($("people-list"), "People", at => {
  const p = personAt(at);
  return [
    el("div", {}, el("span", {}, p.user), el("span", {}, p.review ? el("span", { class: "tag review" }, `${count(p.review)} to review`) : "")),
    el("div", { class: "soft" }, el("span", {}, `${many(p.records.count, "record", "records")} → ${many(p.workouts.count, "workout", "workouts")}`), el("span", {}, `${count(p.workouts.distance_km)} km, ${count(p.workouts.time_h)} h`))];
}, (at, enter) => { if (enter) location.hash = personLink(personAt(at).user); });
async function loadPeople() {
  const [c, { users }] = await Promise.all([block("people"), block("names")]);
  const totals = (at, of) => ({ count: c[`${of}_count`][at], distance_km: c[`${of}_km`][at], time_h: c[`${of}_h`][at] });
  personAt = at => ({ at, number: c.user[at], user: users[c.user[at]], review: c.review[at], records: totals(at, "records"), workouts: totals(at, "workouts") });
  peopleByName = new Map(c.user.map((number, at) => [users[number], at]));
  const all = [...c.user.keys()];
  $("people-about").textContent = `${c.user.length < o.users ? `${count(c.user.length)} of ${many(o.users, "person", "people")}, ` : ""}those with most to review first. Enter opens a person's page.`;
  searchPeople = makeFilters($("people-tools"), "Search a person", [], text => {
    const found = text ? all.filter(at => users[c.user[at]].toLowerCase().includes(text)) : all;
    peopleList.set(found);
    return `${count(found.length)} of ${count(all.length)}`;
  });
}
/* The page of a person stands in the place of everybody's. */
async function showPlace() {
  const match = /^#person=(.*)$/.exec(location.hash);
  const user = match && decodeURIComponent(match[1]), at = user === null ? undefined : peopleByName.get(user);
  const wasAway = $("everybody").hidden;
  $("everybody").hidden = user !== null;
  $("person").hidden = user === null;
  if (user === null) {
    redrawMaps();
    if (wasAway) document.getElementById(location.hash.slice(1))?.scrollIntoView();
    return;
  }
  if (at === undefined) { $("person").replaceChildren(el("h2", {}, user), el("p", { class: "about" }, "This report has no page of them: longrun report --user makes one."), el("p", {}, el("a", { href: "#people" }, "All people"))); return; }
  const p = personAt(at), page = await block(`person-${at}`), tracks = el("div", {}), sources = el("table", {});
  const go = (section, search) => el("a", { href: `#${section}`, on: { click: () => search(user.toLowerCase()) } }, section === "review" ? `Their pairs (${count(p.review)} to review)` : "Their workouts");
  table(sources, [w("Source"), n("Records"), n("Distance"), n("Time")], Object.entries(page.sources).map(([source, of]) => [source, count(of.count), count(of.distance_km) + " km", count(of.time_h) + " h"]), "There are no records.");
  $("person").replaceChildren(
    el("p", {}, el("a", { href: "#people" }, "All people")),
    el("h2", { tabindex: "-1" }, user),
    el("p", { class: "about" }, `${many(p.records.count, "record", "records")} from ${many(Object.keys(page.sources).length, "source", "sources")} → ${many(p.workouts.count, "workout", "workouts")}. `, go("review", text => searchPairs(text)), " · ", go("workouts", text => searchWorkouts(text))),
    el("div", { class: "cards" }, ...totalCards(p.records, p.workouts)),
    el("h3", {}, "Sources"), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Their sources" }, sources),
    el("h3", {}, "When"), ...(page.calendar.months.length ? whenCards(page.calendar) : []),
    el("h3", {}, "Where"), tracks);
  $("person").querySelector("h2").focus();
  scrollTo({ top: 0, behavior: "instant" });
  await makeMap(tracks, p.number);
  $("person").dataset.user = user;
}

/* The lists are filled when the page has been drawn and their blocks, which follow the scripts, are there. */
async function fillLists() {
  for (const load of [loadPairs, loadPeople, loadWorkouts, () => makeMap($("map-place"))]) await load();
  addEventListener("hashchange", showPlace);
  await showPlace();
  document.documentElement.dataset.loaded = "yes";
  performance.mark("loaded");
}
addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(fillLists));
document.documentElement.dataset.ready = "yes";
performance.mark("ready");
