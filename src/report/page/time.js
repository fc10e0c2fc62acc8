/* when: what each source covers, volume by month, and days */
if (data.calendar.months.length) {
  document.querySelectorAll("#when, nav a[href='#when']").forEach(part => { part.hidden = false; });
  const { months, days } = data.calendar, sources = distinct(months.flatMap(m => Object.keys(m.records)));
  const { width, span, step, x, years, axis } = monthAxis(months[0].month, months.at(-1).month);
  const line = 22, coverage = svg("svg", { viewBox: `0 0 ${width} ${sources.length * line + 20}`, role: "img", "aria-label": `Records by month: ${sources.map(source => { const own = months.filter(m => m.records[source]); return `${source} from ${own[0].month} to ${own.at(-1).month}, in ${own.length} of ${span} months`; }).join("; ")}` });
  sources.forEach((source, row) => {
    const most = Math.max(...months.map(m => m.records[source] || 0));
    coverage.append(svg("text", { x: 0, y: row * line + 15 }, source));
    for (const m of months) {
      const n = m.records[source];
      if (n) coverage.append(svg("rect", { x: x(m.month), y: row * line + 2, width: Math.max(step - .5, .8), height: line - 5, class: "level", "fill-opacity": .25 + .75 * n / most }, svg("title", {}, `${source}, ${m.month}: ${many(n, "record", "records")}`)));
    }
  });
  axis(coverage, sources.length * line + 14);
  const height = 130, most = Math.max(1, ...months.map(m => m.km_before)), volume = svg("svg", { viewBox: `0 0 ${width} ${height + 20}`, role: "img", "aria-label": "Kilometres by month, before and after removing duplicates" });
  for (const m of months) for (const [value, kind] of [[m.km_before, "before"], [m.km_after, "after"]])
    volume.append(svg("rect", { x: x(m.month), y: height * (1 - value / most), width: Math.max(step - .5, .8), height: height * value / most, class: kind }, svg("title", {}, `${m.month}: ${count(m.km_after)} km, ${count(m.km_before)} km before removing duplicates`)));
  volume.append(svg("text", { x: 0, y: 12 }, `${count(most)} km`));
  axis(volume, height + 14);
  $("coverage").append(coverage);
  $("volume").append(volume);
  /* one year of days, a column per week */
  const day = 86400000, hours = new Map(days.map(([d, n, h]) => [d, [n, h]]));
  const choose = el("select", { "aria-label": "Year" }, ...years.toReversed().map(year => el("option", {}, String(year))));
  const draw = () => {
    const year = Number(choose.value), from = Date.UTC(year, 0, 1) / day, to = Date.UTC(year + 1, 0, 1) / day, monday = (from + 3) % 7, size = 19;
    const all = [...Array(to - from).keys()].map(n => hours.get(from + n) || [0, 0]), top = Math.max(1, ...all.map(([, h]) => h)), active = all.filter(([n]) => n).length;
    const grid = svg("svg", { viewBox: `0 0 ${size * 54} ${size * 7}`, role: "img", "aria-label": `${year}: workouts on ${many(active, "day", "days")}` });
    all.forEach(([n, h], at) => {
      const week = Math.floor((at + monday) / 7), date = new Date((from + at) * day).toISOString().slice(0, 10);
      grid.append(svg("rect", { x: week * size, y: (at + monday) % 7 * size, width: size - 3, height: size - 3, rx: 3, class: n ? "level" : "empty", "fill-opacity": n ? .25 + .75 * h / top : 1 }, svg("title", {}, `${date}: ${many(n, "workout", "workouts")}, ${h.toFixed(1)} h`)));
    });
    $("days").replaceChildren(grid);
    $("days-about").textContent = `${many(all.reduce((sum, [n]) => sum + n, 0), "workout", "workouts")} on ${many(active, "day", "days")}`;
  };
  choose.addEventListener("change", draw);
  $("days-tools").prepend(choose);
  draw();
}

