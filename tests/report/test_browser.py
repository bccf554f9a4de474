"""The report in Chromium: 20 variants, 5 seeds, 50 epochs; as a reader sees, clicks and hears it.

Left out of `make test`; `make test-browser` runs it where Chromium is installed.
"""

import shutil

import pytest

from regbench import config, report, runs
from tests import made_up_runs

pytestmark = pytest.mark.browser

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
OPTIONS = [
    "--disable-background-networking", "--disable-component-update", "--disable-gpu",
    "--disable-quic", "--disable-sync", "--no-first-run",
]  # fmt: skip
# What axe calls the two upper levels of four.
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    made_up_runs.write(folder / "results", made_up_runs.twenty(), seeds=5, epochs=50)
    report.write(runs.load(folder / "results"), folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs the dependency group browser")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        # Containers run as root, where the sandbox can't start; the page is our own.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=OPTIONS, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens the report; all that the page says or asks for is kept."""
    contexts = []

    def opened(address=address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda request: page.heard.append(request.url))
        page.goto(address)
        page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
        return page

    yield opened
    for context in contexts:
        context.close()


def test_names_that_every_object_of_javascript_has_are_drawn(open_page, tmp_path):
    names = ["baseline", "constructor", "toString", "hasOwnProperty", "valueOf"]
    asked = [config.load("configs/baseline.yaml", [f"name={name}"]) for name in names]
    made_up_runs.write(tmp_path / "results", asked, seeds=2, epochs=5)
    report.write(runs.load(tmp_path / "results"), tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    assert [name.split()[0] for name in panels(page)] == ["baseline", *sorted(names[1:])]
    assert page.heard[1:] == []


def panels(page, expected=None):
    """Return the names above the panels that are drawn, in their order.

    Drawing takes a moment: wait up to ten seconds for those that are expected.
    """
    for _ in range(100):
        titles = page.locator("[data-figure=curves] .chart svg text:has(tspan)").all()
        found = [title.locator("tspan").all_text_contents() for title in titles]
        names = [name for name, gap in found if gap.startswith("gap ")]
        if expected is None or names == expected:
            break
        page.wait_for_timeout(100)
    return names


def test_nothing_is_logged_and_nothing_but_the_file_is_requested(open_page, address):
    page = open_page()
    assert page.heard == [address]
    assert page.locator(".chart svg").count() == page.locator("figure").count() == 9


def test_the_first_paint_comes_within_two_seconds(open_page):
    page = open_page()
    paint = page.evaluate(
        "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    assert 0 < paint < 2000


def test_a_variant_that_is_switched_off_disappears_and_comes_back(open_page):
    page = open_page()
    before = panels(page)
    assert len(before) == 8
    box = page.get_by_role("checkbox", name=before[2], exact=True)
    box.uncheck()
    shown = [*before[:2], *before[3:]]
    assert panels(page, shown) == shown
    box.check()
    assert panels(page, before) == before
    assert len(page.heard) == 1


def test_all_and_none_choose_every_variant_at_once(open_page):
    page = open_page()
    page.get_by_role("button", name="none").click()
    assert panels(page, []) == []
    page.get_by_role("button", name="all", exact=True).click()
    page.wait_for_timeout(1000)
    assert len(panels(page)) == 20
    assert len(page.heard) == 1


def test_the_scale_is_chosen_with_the_keyboard(open_page):
    page = open_page()
    chart = page.locator("[data-figure=together] .chart")
    assert "accuracy" in chart.text_content()
    page.locator("[data-figure=together] input[value=accuracy]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert "cross-entropy (nats)" in chart.text_content()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert page.locator("[data-figure=together] input[value='loss, log scale']").is_checked()
    assert len(page.heard) == 1


def test_hovering_over_a_curve_tells_its_value(open_page):
    page = open_page()
    point = page.locator("[data-figure=gap] .chart svg .mark-symbol path").nth(30)
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for(timeout=5000)
    assert "epoch" in tooltip.text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(color_scheme=scheme)
    page.evaluate("() => document.querySelectorAll('details').forEach((each) => each.open = true)")
    violations = axe.Axe().run(page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in violations
        if each["impact"] in SERIOUS
    ]
    assert serious == []


def test_a_phone_shows_the_page_without_scrolling_sideways(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    widths = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == 390
    page.get_by_role("button", name="8 of 20 variants").click()
    assert page.get_by_role("checkbox", name="dropout", exact=True).is_visible()


def test_dark_follows_the_readers_setting_and_print_is_light(open_page):
    page = open_page(color_scheme="dark")
    color = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(color) == "rgb(20, 23, 26)"
    page.emulate_media(media="print")
    assert page.evaluate(color) == "rgb(255, 255, 255)"
    assert page.pdf()[:4] == b"%PDF"
