"""How Sphinx builds the guide: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

project = "regbench"
author = "regbench contributors"
html_title = "regbench"

extensions = ["myst_parser", "docs.techniques", "docs.book.pages"]
myst_enable_extensions = ["amsmath", "attrs_inline", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_show_copyright = False
html_show_sourcelink = False
html_static_path: list[str] = []
html_theme_options: dict[str, Any] = {"footer_icons": []}

sys.path.insert(0, str(Path(__file__).parents[1]))  # for regbench, and for docs.techniques


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f"<p>{convert(node.astext(), display='block')}</p>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Write formulas as MathML, which browsers draw by themselves: the guide fetches nothing."""
    app.add_node(nodes.math, override=True, html=(_inline, None))
    app.add_node(nodes.math_block, override=True, html=(_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
