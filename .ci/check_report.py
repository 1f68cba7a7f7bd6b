"""Looks at a report in headless Chromium, as a person would: it must draw, filter and open, in the right order, without an error or a barrier.

Usage: check_report.py REPORT.html CROWD.html SCREENSHOTS

REPORT is of the tests `stories::a_breaker_opens_after_a_fault`, `explorations::in_place`, `clocks::sleeps_for_a_while` and of others, CROWD of a sweep of a
thousand tests.
"""

import json
import os
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

STORY = "stories::a_breaker_opens_after_a_fault"


def check_story(browser, path, screenshots):
    for name, scheme, width in [("light", "light", 1200), ("dark", "dark", 1200), ("narrow", "light", 390)]:
        page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
        errors = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(f"file://{path}#{STORY}")

        total = page.locator("details.test").count()
        assert total > 1, f"{total} tests"
        page.fill("#words", "breaker opens")
        page.wait_for_function("document.querySelectorAll('details.test').length === 1")
        page.fill("#words", "")
        page.wait_for_function(f"document.querySelectorAll('details.test').length === {total}")
        page.uncheck("#verdicts input[value=failed]")
        assert page.locator(f"[id='{STORY}']").count() == 0, "failures are left out"
        page.check("#verdicts input[value=failed]")

        # By keyboard alone: the row opens and closes with Enter.
        story = page.locator(f"[id='{STORY}']")
        summary = story.locator("> summary")
        was_open = story.get_attribute("open") is not None
        summary.focus()
        page.keyboard.press("Enter")
        assert (story.get_attribute("open") is not None) != was_open, "Enter opens and closes"
        if was_open:
            page.keyboard.press("Enter")

        bar = story.locator("rect.bar").first.bounding_box()
        bands = story.locator("rect.band").all()
        states = [band.get_attribute("data-state") for band in bands]
        assert states == ["closed", "open", "half_open", "closed"], states
        opened = bands[1].bounding_box()
        assert bar["x"] < opened["x"] < bar["x"] + bar["width"], "the breaker opens while the fault is there"
        assert abs(opened["x"] + opened["width"] - bar["x"] - bar["width"]) < 3, "and half-opens when it is undone"
        assert story.locator("circle.mark-bad").count() >= 3, "requests that failed"
        assert "bit" in story.locator("rect.bar title").first.text_content()
        story.locator("details", has_text="events as text").locator("summary").click()
        changes = story.locator("tbody tr", has_text="circuit breaker changed")
        changes.first.wait_for()
        assert changes.count() == 3, changes.count()
        explored = page.locator("[id='explorations::in_place']")
        calls = [cell.get_attribute("class") for cell in explored.locator(".points i").all()]
        assert calls == ["good", "bad"], calls
        assert "the invariant broke" in explored.locator(".points i").nth(1).get_attribute("title")
        assert "one thread of its runtime" in page.locator("[id='clocks::sleeps_for_a_while'] .notice").text_content()
        oracles = page.locator("#oracles tbody tr").all_text_contents()
        assert any("the file is a directory" in row and "0 cases" in row for row in oracles), oracles
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is no wider than the window"

        serious = [
            f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']]}"
            for violation in Axe().run(page).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert not serious, serious
        assert not errors, errors
        summary.scroll_into_view_if_needed()
        page.screenshot(path=os.path.join(screenshots, f"report-{name}.png"))
        page.close()


def ten_times(path):
    """The same report with each of its tests ten times."""
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split('id="data">', 1)
    data, after = rest.split("</script>", 1)
    run = json.loads(data)
    run["tests"] = [{**test, "name": f"{test['name']}_{number}"} for test in run["tests"] for number in range(10)]
    crowd = path.removesuffix(".html") + "-ten-times.html"
    with open(crowd, "w", encoding="utf-8") as file:
        file.write(before + 'id="data">' + json.dumps(run).replace("<", "\\u003c") + "</script>" + after)
    return crowd


def check_crowd(browser, path):
    assert os.path.getsize(path) < 20_000_000, f"{os.path.getsize(path)} bytes"
    path = ten_times(path)
    size = os.path.getsize(path)
    page = browser.new_page()
    began = time.monotonic()
    page.goto(f"file://{path}", wait_until="commit")
    page.wait_for_selector("details.test")
    took = time.monotonic() - began
    paint = page.evaluate("performance.getEntriesByType('paint').map((entry) => entry.startTime)[0] / 1000")
    count = page.locator("#count").text_content()
    assert count == "10000 tests", count
    page.locator("details.test summary").first.click()
    grid = page.locator("details.test").first.locator(".seeds li")
    grid.first.wait_for()
    assert grid.count() == 10, f"a cell for each seed, and not {grid.count()}"
    page.close()
    # Told and not asserted: no check depends on the speed of a machine.
    print(f"a report of {count}: {size / 1e6:.1f} MB, first paint after {paint:.2f} s, its rows after {took:.2f} s")


def main():
    report, crowd, screenshots = sys.argv[1:]
    os.makedirs(screenshots, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        check_story(browser, os.path.abspath(report), screenshots)
        check_crowd(browser, os.path.abspath(crowd))
        browser.close()
    print("the report draws, filters, opens, and has no barrier")


if __name__ == "__main__":
    main()
