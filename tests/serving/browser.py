"""A script that uses the page in a headless browser, like a person would.

    python tests/serving/browser.py ADDRESS TEXT SCREENSHOT.png

Requires playwright and an installed Chromium or Chrome.
"""

import json
import shutil
import sys

CELLS = "[...document.querySelectorAll('#attention table.heat:first-child tbody tr:first-child td')]"


def find_browser():
    """Returns the path of an installed browser, or "" if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), "")


def use_page(address, text, screenshot=None, layers=True):
    """Types a text, submits it, and changes layer and head. Returns what the page showed.

    Returns:
      `prediction`, `coarse` and `fine` (the tokens), and `maps`: for layer 1 and the mean of heads, then for the last
      layer if there are several `layers`, then for head 1 of it, the titles of the first row of the first map.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.locator("#text textarea, #text input").fill(text)
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector("#attention table.heat")
        seen = {
            "prediction": page.locator("#prediction .label").inner_text(),
            "coarse": page.locator("#tokens tr.coarse td").all_inner_texts(),
            "fine": page.locator("#tokens tr.fine td").all_inner_texts(),
            "maps": [_first_row(page)],
        }
        for control, choice in (("layer", -1), ("head", 1))[0 if layers else 1 :]:
            before = _first_row(page)
            page.locator(f"#{control} input").click()
            page.locator("ul[role=listbox] li").nth(choice).click()
            page.wait_for_function(f"before => JSON.stringify({CELLS}.map(cell => cell.title)) !== before",
                                   arg=json.dumps(before, ensure_ascii=False, separators=(",", ":")))  # fmt: skip
            seen["maps"].append(_first_row(page))
        if screenshot:
            page.mouse.move(0, 0)
            page.screenshot(path=screenshot, full_page=True)
        browser.close()
    return seen


def _first_row(page):
    return page.evaluate(f"{CELLS}.map(cell => cell.title)")


if __name__ == "__main__":
    for name, value in use_page(*sys.argv[1:]).items():
        print(name, value)
