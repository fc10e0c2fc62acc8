"""Makes the picture of a report that the README shows, in headless Chromium.

usage: docs/picture.py REPORT.html PICTURE.webp     (pip install selenium; chromium and chromedriver)
"""

import base64
import os
import shutil
import sys

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

WIDTH, HEIGHT = 1280, 1060

# The totals, and one pair to review that has both tracks.
ARRANGE = """
(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const whole = await block('pairs-0');
  const pair = Math.max(0, whole.findIndex(p => p.decision === 'review' && p.a.track && p.b.track));
  const wanted = new Set(['overview', 'review']);
  for (const section of document.querySelectorAll('#everybody > section')) section.hidden = !wanted.has(section.id);
  document.getElementById('review-list').scrollTop = pair * 60;
  const row = () => document.getElementById(`review-list-${pair}`);
  while (!row()) await frame();
  row().click();
  const pane = document.getElementById('review-detail');
  while (!pane.querySelector('table')) await frame();
  document.activeElement.blur();
  const top = of => of.getBoundingClientRect().top;
  pane.scrollTop = top(pane.querySelector('.map') ?? pane) - top(pane) - 130;
  scrollTo(0, 0);
  document.documentElement.dataset.arranged = 'yes';
})();
"""


def main(report, picture):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get("file://" + os.path.abspath(report))
        is_loaded = "return document.documentElement.dataset.loaded"
        WebDriverWait(driver, 30).until(lambda d: d.execute_script(is_loaded) == "yes")
        driver.execute_script(ARRANGE)
        is_arranged = "return document.documentElement.dataset.arranged"
        WebDriverWait(driver, 30).until(lambda d: d.execute_script(is_arranged) == "yes")
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 80})
        with open(picture, "wb") as out:
            out.write(base64.b64decode(shot["data"]))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
