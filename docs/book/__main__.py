"""Checks the book and draws its figures: `make book`.

Every page has its parts and types no number, and every verdict is that of the runs in its bundle.
"""

from __future__ import annotations

import sys

from docs.book import evidence, pages
from docs.book.evidence import BookError


def main() -> int:
    """Check, draw, and return the exit code."""
    try:
        written = pages.pages()
        found = [problem for page in written for problem in pages.problems(page)]
        studies = {study for page in written for study in page.studies()}
        for study in sorted(studies):
            for each in evidence.of_study(study):
                found += each.mismatches()
        for page in [*written, pages.read(pages.FOLDER / f"{pages.CONTENTS}.md")]:
            pages.filled(page)
        drawn = pages.draw() if not found else []
    except BookError as error:
        found = [str(error)]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(
            f"{len(written)} pages of {len(studies)} studies, {len(drawn) // 2} figures: "
            "every number is that of its bundle"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
