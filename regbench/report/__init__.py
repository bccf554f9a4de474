"""The report: finished runs as one web page that works offline."""

from __future__ import annotations

from regbench.report.page import render, write

__all__ = ["render", "write"]
