/* when: what each source covers, volume by month, and days */
function whenCards({ months, days }) {
  const sources = distinct(months.flatMap(m => Object.keys(m.records)));
  const { width, span, step, x, years, axis } = monthAxis(months[0].month, months.at(-1).month);
  const card = (name, label, ...nodes) => el("div", { class: `card wide ${name}`, tabindex: "0", role: "region", "aria-label": label }, ...nodes);
  const line = 22, coverage = svg("svg", { viewBox: `0 0 ${width} ${sources.length * line + 20}`, role: "img", "aria-label": `Records by month: ${sources.map(source => { const own = months.filter(m => m.records[source]); return `${source} from ${own[0].month} to ${own.at(-1).month}, in ${own.length} of ${span} months`; }).join("; ")}` });
  const covered = sources.flatMap((source, row) => {
    const most = Math.max(...months.map(m => m.records[source] || 0));
    coverage.append(svg("text", { x: 0, y: row * line + 15 }, source));
    return months.filter(m => m.records[source]).map(m => ({ x: x(m.month), y: row * line + 2, width: Math.max(step - .5, .8), height: line - 5, kind: "level", opacity: .2 + .8 * m.records[source] / most, text: () => `${source}, ${m.month}: ${many(m.records[source], "record", "records")}` }));
  });
  const coverageSays = boxes(coverage, covered);
  axis(coverage, sources.length * line + 14);
  const height = 130, most = Math.max(1, ...months.map(m => m.km_before)), volume = svg("svg", { viewBox: `0 0 ${width} ${height + 20}`, role: "img", "aria-label": "Kilometres by month, before and after removing duplicates" });
  const volumeSays = boxes(volume, months.flatMap(m => [[m.km_before, "before"], [m.km_after, "after"]].map(([value, kind]) =>
    ({ x: x(m.month), y: height * (1 - value / most), width: Math.max(step - .5, .8), height: height * value / most, kind, isColumn: true, text: () => `${m.month}: ${count(m.km_after)} km, ${count(m.km_before)} km before removing duplicates` }))));
  volume.append(svg("text", { x: 0, y: 12 }, `${count(most)} km`));
  axis(volume, height + 14);
  /* one year of days, a column per week */
  const day = 86400000, hours = new Map(days.map(([d, n, h]) => [d, [n, h]]));
  const choose = el("select", { "aria-label": "Year" }, ...years.toReversed().map(year => el("option", {}, String(year))));
  const about = el("span", { class: "soft", role: "status" }), place = el("div", {});
  const draw = () => {
    const year = Number(choose.value), from = Date.UTC(year, 0, 1) / day, to = Date.UTC(year + 1, 0, 1) / day, monday = (from + 3) % 7, size = 19;
    const all = [...Array(to - from).keys()].map(n => hours.get(from + n) || [0, 0]), top = Math.max(1, ...all.map(([, h]) => h)), active = all.filter(([n]) => n).length;
    const grid = svg("svg", { viewBox: `0 0 ${size * 54} ${size * 7}`, role: "img", "aria-label": `${year}: workouts on ${many(active, "day", "days")}` });
    const says = boxes(grid, all.map(([n, h], at) => ({
      x: Math.floor((at + monday) / 7) * size, y: (at + monday) % 7 * size, width: size - 3, height: size - 3, kind: n ? "level" : "empty", opacity: n ? .2 + .8 * h / top : 1,
      text: () => `${new Date((from + at) * day).toISOString().slice(0, 10)}: ${many(n, "workout", "workouts")}, ${h.toFixed(1)} h` })));
    place.replaceChildren(grid, says);
    about.textContent = `${many(all.reduce((sum, [n]) => sum + n, 0), "workout", "workouts")} on ${many(active, "day", "days")}`;
  };
  choose.addEventListener("change", draw);
  draw();
  return [card("coverage", "Coverage by month", coverage, coverageSays), card("volume", "Distance by month", volume, volumeSays),
    card("days", "Days of a year", el("div", { class: "tools" }, choose, about), place)];
}
if (data.calendar.months.length) {
  document.querySelectorAll("#when, nav a[href='#when']").forEach(part => { part.hidden = false; });
  $("when").append(...whenCards(data.calendar));
}

