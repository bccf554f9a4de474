"""The live page itself: its template with styles and script, and the policy that it runs under."""

from __future__ import annotations

from importlib import resources

from regbench.report import charts
from regbench.report.policy import policy


def render() -> tuple[str, str]:
    """Return the page's HTML and its Content-Security-Policy."""
    import jinja2
    import markupsafe

    script = charts.themed(_asset("watch", "live.js"))
    style = charts.theme() + _asset("report", "page.css") + _asset("watch", "live.css")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    html = environment.from_string(_asset("watch", "live.html")).render(
        style=markupsafe.Markup(style), script=markupsafe.Markup(script)
    )
    return html, policy([script], "connect-src 'self'; frame-ancestors 'none'")


def _asset(package: str, name: str) -> str:
    """Return a file of the report, or of this package."""
    place = {"report": "regbench.report", "watch": "regbench.report.watch"}[package]
    return resources.files(place).joinpath(name).read_text(encoding="utf-8")
