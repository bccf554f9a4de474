"""The live page in Chromium while a sweep trains; `make test-browser` runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.report.test_browser import SERIOUS, browser  # noqa: F401  # browser is a fixture

pytestmark = pytest.mark.browser

RUNS, EPOCHS, LATEST = 8, 3, 3.0  # seconds until an epoch is shown
SMALL = ["--set", "model.blocks=[4]", "--set", f"train.epochs={EPOCHS}", "--no-probes"]


def regbench(*arguments):
    command = [sys.executable, "-m", "regbench", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def watching(results, port=0):
    """Start the server; return it and its address."""
    server = regbench("watch", results, "--no-open", "--port", port)
    for line in server.stderr:
        if line.startswith("http://"):
            return server, line.strip()
    raise AssertionError("the server ended")


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def epochs_on_disk(results):
    """Return the number of epochs of each run, from its history."""
    found = {}
    for path in results.glob("*/history.csv"):
        try:
            found[path.parent.name] = len(path.read_text().splitlines()) - 2
        except OSError:
            continue
    return found


def epochs_on_page(page):
    listed = page.locator("[data-run]").evaluate_all(
        "runs => runs.map(run => [run.dataset.run, Number(run.dataset.epoch)])"
    )
    return {name.partition("/")[2]: epoch for name, epoch in listed}


def opened(chromium, address, heard, **options):
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-shown]", state="attached")
    return page


def test_every_epoch_of_a_sweep_appears_and_a_restart_loses_nothing(browser, tmp_path):  # noqa: F811
    results, heard = tmp_path / "results", []
    server, address = watching(results)
    port = int(re.search(r":(\d+)/", address)[1])
    page = opened(browser, address, heard)
    assert page.locator("#none").is_visible()
    other = tmp_path / "l2.yaml"
    other.write_text(f"extends: {Path('configs/smoke.yaml').absolute()}\nname: l2\nl2: 0.001\n")
    configs = ["configs/smoke.yaml", other, "--seeds", "0-3", "--quiet"]
    sweep = regbench("run", *configs, *SMALL, "--results", results)
    behind = {}  # since when the page lacks an epoch that is on disk
    slowest, restarted = 0.0, False
    try:
        while sweep.poll() is None:
            disk, shown, now = epochs_on_disk(results), epochs_on_page(page), time.monotonic()
            for run, epoch in disk.items():
                for each in range(epoch + 1):
                    if shown.get(run, -1) >= each:
                        slowest = max(slowest, now - behind.pop((run, each), now))
                    else:
                        behind.setdefault((run, each), now)
            if not restarted and list(shown.values()).count(EPOCHS) >= RUNS // 2:
                assert heard == []  # until here; the lost connection may be told
                end(server)
                server, address = watching(results, port)
                page = opened(browser, address, heard := [])
                restarted, behind = True, {}
            time.sleep(0.1)
        assert sweep.returncode == 0, sweep.stderr.read()
        page.locator("[data-state=completed]").nth(RUNS - 1).wait_for(state="attached")
        assert epochs_on_page(page) == epochs_on_disk(results)
        assert restarted
        assert slowest <= LATEST
        assert page.locator("#table tr").count() == 2
        assert page.locator("#curves [data-panel]").count() == 2
        assert heard == []
        end(server)
        page.wait_for_selector("#lead.lost")
        assert page.locator("#table tr").count() == 2  # the last state stays
    finally:
        end(sweep)
        end(server)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_axe_finds_nothing_serious(browser, tmp_path, scheme, width):  # noqa: F811
    from axe_playwright_python.sync_playwright import Axe

    from tests.report.test_watch import config, cut, made_up_runs

    results = tmp_path / "results"
    asked = [config.load(f"configs/{name}.yaml") for name in ("baseline", "l2", "dropout")]
    made_up_runs.write(results, asked, seeds=3, epochs=20)
    (unfinished,) = results.glob("l2-*-s2")
    cut(unfinished, epochs=7)
    server, address = watching(results)
    try:
        heard = []
        size = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
        page = opened(browser, address, heard, **size)
        page.locator("[data-run]").nth(8).wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in SERIOUS] == []
        page.locator("input[value=loss]").check()
        assert "loss" in page.locator("#curves svg").first.get_attribute("aria-label")
        assert heard == []
        if shots := os.environ.get("REGBENCH_SCREENSHOTS"):
            page.locator("input[value=accuracy]").check()
            page.screenshot(path=f"{shots}/watch-{scheme}-{width}.png", full_page=True)
    finally:
        end(server)
