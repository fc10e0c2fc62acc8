"""Opens a report in headless Chromium and uses it. Exits 77 where there is no browser."""

import os
import shutil
import sys
import tempfile

from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

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


def use(driver, page, is_phone):
    driver.get("file://" + os.path.abspath(page))
    run = driver.execute_script
    wait = WebDriverWait(driver, 30)
    wait.until(lambda _: run("return document.documentElement.dataset.ready") == "yes")
    assert run("return performance.getEntriesByType('resource').length") == 0, "it asked for something"
    assert run("return document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
    for section in ["totals", "source-table", "pairs-of-sources", "conflict-table", "pipeline-total", "pipeline-table", "weight-table"]:
        assert run(f"return document.getElementById('{section}').innerText.trim().length") > 20, section

    # Every workout stands somewhere with the live pipeline.
    parts = run("return [...document.querySelectorAll('#pipeline-total .bars > :nth-child(3n)')].map(n => Number(n.innerText.replaceAll(',', '')))")
    assert len(parts) == 7 and sum(parts) == run("return data.overview.workouts.count"), parts
    assert run("return document.querySelectorAll('#pipeline-table tbody tr').length") == 40

    # Of a long list, only what is in sight is there; the last one is reached by a key.
    rows = lambda name: driver.find_elements(By.CSS_SELECTOR, f"#{name}-list .row")
    status = lambda name: driver.find_element(By.CSS_SELECTOR, f"#{name}-tools [role=status]").text
    assert status("workout") == "10,000 of 10,000", status("workout")
    box = driver.find_element(By.ID, "workout-list")
    box.send_keys(Keys.END)
    wait.until(lambda _: run("return document.querySelector('#workout-list .row[aria-selected=true]')?.getAttribute('aria-posinset')") == "10000")
    assert len(rows("workout")) < 40, len(rows("workout"))
    run("document.getElementById('workout-list').scrollTop = 300000")
    first = "return Number(document.querySelector('#workout-list .row').getAttribute('aria-posinset'))"
    wait.until(lambda _: 4900 < run(first) < 5100)
    assert len(rows("workout")) < 40, len(rows("workout"))

    def click(element):
        run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    # Search and filters.
    name = run("return data.pairs[3].a.name")
    search = driver.find_element(By.CSS_SELECTOR, "#review-tools input")
    everything = status("review")
    search.send_keys(name)
    wait.until(lambda _: status("review") != everything)
    assert 0 < len(rows("review")) < 20
    assert all(name in item["text"] for item in run("return data.pairs.filter(p => p.text.includes(arguments[0]))", name))
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
    names = run("return data.pairs.slice(0, 2).map(p => [p.user, p.a.name, p.b.name].join(','))")
    wanted = ["user,a,b,answer", names[0] + ",same", names[1] + ",different"]
    assert run("return answers.csv()").splitlines() == wanted, run("return answers.csv()")
    assert run("return document.querySelectorAll('#review-list .tag')[0].innerText") == "you: same"
    with tempfile.TemporaryDirectory() as folder:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        click(driver.find_element(By.CSS_SELECTOR, "#review-answers button"))
        saved = os.path.join(folder, "answers.csv")
        wait.until(lambda _: os.path.exists(saved) and open(saved).read().splitlines() == wanted)
    assert "dedupe decide --file answers.csv" in driver.find_element(By.ID, "review-answers").text

    # Nothing that a keyboard or a screen reader stumbles over.
    if not is_phone:
        violations = Axe().run(driver)["violations"]
        assert violations == [], [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations]

    # Months, and the days of a year.
    months = run("return data.calendar.months.length")
    assert months > 0 and run("return document.querySelectorAll('#volume rect').length") == 2 * months
    assert run("return document.querySelectorAll('#days rect').length") in (365, 366)
    assert run("return data.calendar.days.reduce((sum, day) => sum + day[1], 0)") == run("return data.overview.workouts.count")

    # One whose records both have tracks.
    with_tracks = run("return data.pairs.find(p => p.a.track && p.b.track).a.name")
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
    papers = []
    for width, height, scheme in [(1400, 900, "light"), (1400, 900, "dark"), (390, 844, "dark")]:
        driver = browser(chromium, chromedriver, width, height, scheme)
        try:
            papers.append(use(driver, sys.argv[1], width < 600))
        finally:
            driver.quit()
    assert papers[0] != papers[1], "light and dark look the same"


main()
