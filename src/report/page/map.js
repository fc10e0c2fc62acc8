/* a map of tracks, drawn from the data alone: cells far off, lines from near by */
const CELL = .25, RADIANS = Math.PI / 180;
/* the world as a square from 0 to 1, as Mercator has it */
const worldX = lon => (lon + 180) / 360, worldY = lat => .5 - Math.log(Math.tan(Math.PI / 4 + lat * RADIANS / 2)) / (2 * Math.PI);
const latitude = y => (2 * Math.atan(Math.exp((.5 - y) * 2 * Math.PI)) - Math.PI / 2) / RADIANS;
const degrees = (lat, lon) => `${Math.abs(lat).toFixed(1)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(1)}° ${lon < 0 ? "W" : "E"}`;
/* cells that touch are one place; those with most tracks come first */
function placesOf(cells) {
  const key = c => `${Math.round(c.lat / CELL - .5)} ${Math.round(c.lon / CELL - .5)}`, left = new Map(cells.map(c => [key(c), c])), places = [];
  for (const start of cells) {
    if (!left.delete(key(start))) continue;
    const place = [start];
    for (let at = 0; at < place.length; at++) {
      const [y, x] = key(place[at]).split(" ").map(Number);
      for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) {
        const near = `${y + dy} ${x + dx}`, cell = left.get(near);
        if (cell) { left.delete(near); place.push(cell); }
      }
    }
    const most = place.reduce((a, b) => b.n > a.n ? b : a);
    places.push({ cells: place, n: place.reduce((sum, c) => sum + c.n, 0), name: degrees(most.lat, most.lon) });
  }
  return places.sort((a, b) => b.n - a.n);
}
const drawMaps = new Set();
/* of everybody, or of the user with this number */
async function makeMap(box, user) {
  const all = (await block("map")).map(([lat, lon, n, at, users], index) => ({ lat: lat / 1e5, lon: lon / 1e5, n, at, users, index }));
  const cells = user === undefined ? all : all.filter(c => c.users.includes(user));
  if (!cells.length) { box.append(el("div", { class: "card none" }, "No record has a track.")); return; }
  const places = placesOf(cells), n = places.reduce((sum, p) => sum + p.n, 0);
  const canvas = el("canvas", { class: "tracks", role: "img", tabindex: "0", "aria-label": `A map of ${many(n, "track", "tracks")} in ${many(places.length, "place", "places")}; the most are near ${places[0].name}. Arrow keys move it, plus and minus zoom.` });
  const choose = el("select", { "aria-label": "Place" }, ...places.slice(0, 40).map((p, at) => el("option", { value: at }, user === undefined ? `${p.name}: ${many(p.n, "track", "tracks")}` : p.name)), el("option", { value: "all" }, `Everywhere: ${many(places.length, "place", "places")}`));
  const press = (label, name, f) => el("button", { type: "button", "aria-label": name, on: { click: f } }, label);
  const context = canvas.getContext("2d");
  /* the middle, and how many pixels the world is wide */
  let x = .5, y = .5, size = 256, drawing = 0;
  const fit = of => {
    const edge = CELL / 2, lats = of.flatMap(c => [c.lat - edge, c.lat + edge]), lons = of.flatMap(c => [c.lon - edge, c.lon + edge]);
    const [x0, x1] = [worldX(Math.min(...lons)), worldX(Math.max(...lons))], [y0, y1] = [worldY(Math.max(...lats)), worldY(Math.min(...lats))];
    [x, y, size] = [(x0 + x1) / 2, (y0 + y1) / 2, Math.min(canvas.clientWidth / (x1 - x0), canvas.clientHeight / (y1 - y0))];
    draw();
  };
  const zoom = by => { size = Math.max(200, Math.min(size * by, 3e7)); draw(); };
  const move = (right, down) => { x += right / size; y += down / size; draw(); };
  async function draw() {
    const own = ++drawing, wide = canvas.clientWidth, high = canvas.clientHeight, sharp = devicePixelRatio || 1;
    if (!wide) return;
    const probe = getComputedStyle(canvas);
    canvas.width = wide * sharp;
    canvas.height = high * sharp;
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    const px = lon => (worldX(lon) - x) * size + wide / 2, py = lat => (worldY(lat) - y) * size + high / 2;
    const side = CELL / 360 * size, seen = cells.filter(c => Math.abs(px(c.lon) - wide / 2) < wide / 2 + 3 * side && Math.abs(py(c.lat) - high / 2) < high / 2 + 5 * side);
    context.strokeStyle = context.fillStyle = probe.outlineColor;
    let lines = 0;
    if (side < 20) {
      context.globalAlpha = .5;
      for (const c of seen) { context.beginPath(); context.arc(px(c.lon), py(c.lat), Math.min(3 + Math.sqrt(c.n) / 3, 14), 0, 7); context.fill(); }
    } else {
      context.lineWidth = 1.4;
      context.lineJoin = "round";
      /* where there are many, the ways that are used most stand out */
      const share = Math.max(.08, Math.min(.5, 60 / seen.reduce((sum, c) => sum + c.n, 0)));
      const here = new Set(seen.map(c => c.index));
      for (const at of new Set(seen.map(c => c.at))) {
        const of = await block(`map-${at}`);
        if (own !== drawing) return;
        for (const [index, all] of of) {
          if (!here.has(index)) continue;
          for (const [whose, text] of all) {
            if (user !== undefined && whose !== user) continue;
            context.globalAlpha = share;
            context.beginPath();
            for (const [la, lo] of decode(text)) context.lineTo(px(lo / 1e4), py(la / 1e4));
            context.stroke();
            /* the page stays usable while many are drawn */
            if (++lines % 3000 === 0) { await new Promise(requestAnimationFrame); if (own !== drawing) return; }
          }
        }
      }
    }
    scaleBar(wide, high, probe.color);
    canvas.dataset.lines = lines;
    canvas.dataset.drawn = own;
  }
  function scaleBar(wide, high, ink) {
    const metres = 40075017 * Math.cos(latitude(y) * RADIANS) / size, most = metres * 140, power = 10 ** Math.floor(Math.log10(most)), nice = [5, 2, 1].map(n => n * power).find(n => n <= most);
    context.globalAlpha = 1;
    context.strokeStyle = context.fillStyle = ink;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(12, high - 14);
    context.lineTo(12 + nice / metres, high - 14);
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    context.fillText(nice >= 1000 ? `${nice / 1000} km` : `${nice} m`, 12, high - 20);
  }
  choose.addEventListener("change", () => fit(choose.value === "all" ? cells : places[choose.value].cells));
  canvas.addEventListener("keydown", event => {
    const step = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[event.key], by = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    if (!step && !by || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (step) move(...step); else zoom(by);
  });
  let held = null;
  canvas.addEventListener("pointerdown", event => { held = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => { if (!held) return; const [fromX, fromY] = held; held = [event.clientX, event.clientY]; move(fromX - held[0], fromY - held[1]); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  canvas.addEventListener("dblclick", () => zoom(2));
  box.append(el("div", { class: "tools" }, choose, press("+", "Zoom in", () => zoom(1.5)), press("−", "Zoom out", () => zoom(1 / 1.5))), canvas);
  drawMaps.forEach(other => { if (!other.canvas.isConnected) drawMaps.delete(other); });
  drawMaps.add({ canvas, draw });
  fit(places[0].cells);
}
const redrawMaps = () => drawMaps.forEach(({ draw }) => draw());
addEventListener("resize", redrawMaps);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawMaps);
$("theme").addEventListener("click", redrawMaps);

