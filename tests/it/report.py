"""Opens a report in headless Chromium and uses it. Exits 77 where there is no browser.

usage: report.py REPORT.html            uses everything on the page
       report.py --open REPORT.html     says in JSON how long it takes to open, and how much there is then
"""

import base64
import json
import os
import shutil
import statistics
import sys
import tempfile

from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


def browser(chromium, chromedriver, width, height, scheme):
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--window-size={width},{height}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    # The check for screen readers goes through every element of the page.
    driver.set_script_timeout(120)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    if width < 600:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True},
        )
    return driver


def sound(driver, what, but, parts=()):
    """Nothing that a keyboard or a screen reader stumbles over: in some parts of the page, and in all but those and
    another. A drawing is one picture, with one description. On a busy machine, all at once would take minutes."""
    drawn = [["svg[role=img] > *"]]
    some = [parts[at:at + 4] for at in range(0, len(parts), 4)]
    contexts = [{"include": [[part] for part in few], "exclude": drawn} for few in some]
    contexts.append({"exclude": [*drawn, *([part] for part in [but, *parts])]})
    for context in contexts:
        violations = Axe().run(driver, context=context, options={"resultTypes": ["violations"]})["violations"]
        assert violations == [], (what, context, [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations])


def opened(driver, page):
    # Of the page's own thread, so that what else the machine does counts little.
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    driver.get("file://" + os.path.abspath(page))
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return document.documentElement.dataset.loaded") == "yes")
    own = {m["name"]: m["value"] for m in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    seen = driver.execute_script("""
        const [navigation] = performance.getEntriesByType("navigation"), [ready] = performance.getEntriesByName("ready"), [painted] = performance.getEntriesByName("first-contentful-paint");
        return {
            ready_ms: ready.startTime, painted_ms: painted?.startTime, load_ms: navigation.loadEventEnd,
            loaded_ms: performance.getEntriesByName("loaded")[0].startTime, nodes: document.getElementsByTagName("*").length,
            blocks_left: document.querySelectorAll("script[id^=block-]").length,
            listed: [...document.querySelectorAll(".tools [role=status]")].map(node => node.textContent),
        };
    """)
    return {**seen, "work_ms": 1000 * own["TaskDuration"]}


def use(driver, page, is_phone, scheme):
    driver.get("file://" + os.path.abspath(page))
    run = driver.execute_script
    wait = WebDriverWait(driver, 30)
    wait.until(lambda _: run("return document.documentElement.dataset.loaded") == "yes")
    assert run("return performance.getEntriesByType('resource').length") == 0, "it asked for something"
    assert run("return document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
    for section in ["totals", "source-table", "pairs-of-sources", "conflict-table", "pipeline-total", "pipeline-table", "weight-table"]:
        assert run(f"return document.getElementById('{section}').innerText.trim().length") > 20, section

    # Every workout stands somewhere with the live pipeline.
    parts = run("return [...document.querySelectorAll('#pipeline-total .bars > :nth-child(3n)')].map(n => Number(n.innerText.replaceAll(',', '')))")
    workouts = run("return data.overview.workouts.count")
    assert len(parts) == 7 and sum(parts) == workouts, parts
    assert run("return document.querySelectorAll('#pipeline-table tbody tr').length") == 40

    # Of a long list, only what is in sight is there; the last one is reached by a key.
    rows = lambda name: driver.find_elements(By.CSS_SELECTOR, f"#{name}-list .row")
    status = lambda name: driver.find_element(By.CSS_SELECTOR, f"#{name}-tools [role=status]").text
    assert status("workout") == f"{workouts:,} of {workouts:,}" and workouts > 20_000, status("workout")
    box = driver.find_element(By.ID, "workout-list")
    box.send_keys(Keys.END)
    wait.until(lambda _: run("return document.querySelector('#workout-list .row[aria-selected=true]')?.getAttribute('aria-posinset')") == str(workouts))
    assert len(rows("workout")) < 40, len(rows("workout"))
    run("document.getElementById('workout-list').scrollTop = 300000")
    first = "return Number(document.querySelector('#workout-list .row').getAttribute('aria-posinset'))"
    wait.until(lambda _: 4900 < run(first) < 5100)
    assert len(rows("workout")) < 40, len(rows("workout"))

    drawn_boxes = lambda where: run("return [...document.querySelectorAll(`${arguments[0]} svg path`)].reduce((sum, path) => sum + path.getAttribute('d').split('M').length - 1, 0)", where)

    def click(element):
        run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    # Search and filters.
    name = run("return pairs[3].a.name")
    search = driver.find_element(By.CSS_SELECTOR, "#review-tools input")
    everything = status("review")
    search.send_keys(name)
    wait.until(lambda _: status("review") != everything)
    assert 0 < len(rows("review")) < 20
    assert all(name in item["text"] for item in run("return pairs.filter(p => p.text.includes(arguments[0]))", name))
    search.clear()
    search.send_keys("nobody has such a title")
    wait.until(lambda _: status("review").startswith("0 of"))
    assert "Nothing matches" in driver.find_element(By.ID, "review-list").text
    search.send_keys(Keys.CONTROL, "a")
    search.send_keys(Keys.DELETE)
    wait.until(lambda _: status("review") == everything)
    choose = driver.find_element(By.CSS_SELECTOR, "#review-tools select[aria-label=Decision]")
    choose.find_element(By.CSS_SELECTOR, "option[value=review]").click()
    # All of what is listed may be for review.
    wait.until(lambda _: 0 < len(rows("review")))

    # A pair, by keys.
    driver.find_element(By.ID, "review-list").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    pane = driver.find_element(By.ID, "review-detail")
    wait.until(lambda _: "Evidence, in bits" in pane.text)
    assert run("return document.activeElement.id") == "review-detail"
    assert "dedupe decide" in pane.text and "sum" in pane.text
    assert len(pane.find_elements(By.CSS_SELECTOR, "svg rect")) >= 3, "the waterfall"
    if is_phone:
        assert run("return getComputedStyle(arguments[0]).position", pane) == "fixed"
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert run("return document.activeElement.id") == "review-list"
    choose.find_element(By.CSS_SELECTOR, "option[value='']").click()

    # Answers by keys: kept in the browser, and saved as the file that `dedupe decide --file` reads.
    review = driver.find_element(By.ID, "review-list")
    review.send_keys(Keys.HOME, "s", "d", "x", "s", Keys.ARROW_UP, "s")
    names = run("return pairs.slice(0, 2).map(p => [p.user, p.a.name, p.b.name].join(','))")
    wanted = ["user,a,b,answer", names[0] + ",same", names[1] + ",different"]
    assert run("return answers.csv()").splitlines() == wanted, run("return answers.csv()")
    assert run("return document.querySelectorAll('#review-list .tag')[0].innerText") == "you: same"
    with tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        click(driver.find_element(By.CSS_SELECTOR, "#review-answers button"))
        saved = os.path.join(folder, "answers.csv")
        wait.until(lambda _: os.path.exists(saved) and open(saved).read().splitlines() == wanted)
    assert "dedupe decide --file answers.csv" in driver.find_element(By.ID, "review-answers").text

    shown = run("return [...document.querySelectorAll('#everybody > section:not([hidden])')].map(part => '#' + part.id)")
    sound(driver, "everybody", "#person", shown)

    # Months, and the days of a year.
    months = run("return data.calendar.months.length")
    assert months > 0 and drawn_boxes("#when .volume") == 2 * months
    assert drawn_boxes("#when .days") in (365, 366)
    assert run("return data.calendar.days.reduce((sum, day) => sum + day[1], 0)") == workouts

    # The map draws lines from near by and cells from far off; keys move and zoom it.
    tracks = driver.find_element(By.CSS_SELECTOR, "#map canvas")
    lines = lambda: int(tracks.get_attribute("data-lines"))
    wait.until(lambda _: tracks.get_attribute("data-lines"))
    assert lines() > 100, lines()
    drawn = tracks.get_attribute("data-drawn")
    tracks.send_keys(Keys.ARROW_LEFT)
    wait.until(lambda _: tracks.get_attribute("data-drawn") != drawn)
    Select(driver.find_element(By.CSS_SELECTOR, "#map select")).select_by_value("all")
    tracks.send_keys(*["-"] * 12)
    wait.until(lambda _: lines() == 0)
    colours = run("const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n", tracks)
    assert colours > 50, colours

    # A page per person, by keys, with an address of its own.
    driver.find_element(By.ID, "people-list").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    wait.until(lambda _: run("return document.getElementById('person').dataset.user ?? ''"))
    person = driver.find_element(By.ID, "person")
    name = person.get_attribute("data-user")
    assert run("return location.hash") == f"#person={name}" and name in person.find_element(By.TAG_NAME, "h2").text
    assert not driver.find_element(By.ID, "overview").is_displayed()
    assert run("return document.activeElement.tagName") == "H2"
    assert drawn_boxes("#person .days") in (365, 366)
    assert int(person.find_element(By.TAG_NAME, "canvas").get_attribute("data-lines")) > 0
    assert run("return document.documentElement.scrollWidth <= innerWidth"), "a person's page is wider than the screen"
    sound(driver, "a person", "#everybody")
    click(person.find_element(By.LINK_TEXT, "Their workouts"))
    wait.until(lambda _: driver.find_element(By.ID, "overview").is_displayed())
    own = status("workout")
    assert own != f"{workouts:,} of {workouts:,}" and not own.startswith("0 of"), own
    assert all(name in row.text for row in rows("workout"))
    run("searchWorkouts('')")

    # On paper: light, without what only a screen needs, and as wide as the sheet.
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert run("return getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    if not is_phone:
        sheets = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert sheets.startswith(b"%PDF") and sheets.count(b"/Type /Page\n") > 3, sheets.count(b"/Type /Page\n")

    # One whose records both have tracks.
    with_tracks = driver.execute_async_script("""
        const done = arguments[0];
        (async () => { for (let at = 0; ; at++) for (const p of await block(`pairs-${at}`)) if (p.a.track && p.b.track) return p.a.name; })().then(done);
    """)
    search.send_keys(with_tracks)
    wait.until(lambda _: status("review") != everything)
    click(rows("review")[0])
    wait.until(lambda _: pane.find_elements(By.CSS_SELECTOR, ".map polyline"))
    if is_phone:
        pane.find_element(By.CSS_SELECTOR, ".close").click()
        assert not pane.is_displayed()

    # A workout, by a click.
    run("document.getElementById('workout-list').scrollTop = 0")
    wait.until(lambda _: run(first) == 1)
    click(rows("workout")[0])
    told = driver.find_element(By.ID, "workout-detail")
    wait.until(lambda _: "Where each field comes from" in told.text)

    paper = lambda: run("return getComputedStyle(document.body).backgroundColor")
    before = paper()
    if is_phone:
        told.find_element(By.CSS_SELECTOR, ".close").click()
    click(driver.find_element(By.ID, "theme"))
    assert paper() != before, "the theme"
    said = driver.get_log("browser")
    assert said == [], said
    return before


def main():
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        print("there is no chromium with its chromedriver")
        sys.exit(1 if os.environ.get("CI") else 77)
    if sys.argv[1] == "--open":
        runs = []
        for _ in range(int(os.environ.get("RUNS", "1"))):
            driver = browser(chromium, chromedriver, 1400, 900, "light")
            try:
                runs.append(opened(driver, sys.argv[2]))
            finally:
                driver.quit()
        times = {name: round(statistics.median(run[name] for run in runs)) for name in runs[0] if name.endswith("_ms")}
        print(json.dumps({**runs[-1], **times}))
        return
    papers = []
    for width, height, scheme in [(1400, 900, "light"), (1400, 900, "dark"), (390, 844, "dark")]:
        driver = browser(chromium, chromedriver, width, height, scheme)
        try:
            papers.append(use(driver, sys.argv[1], width < 600, scheme))
        finally:
            driver.quit()
    assert papers[0] != papers[1], "light and dark look the same"


main()
