"""Fills the pages of the book with numbers and figures while Sphinx reads them.

A page names what it shows and types no number of a run:

    {mean}`dropout_rate gap rate-dense_0.5`         mean and interval of a variant's runs

    ```{verdict} dropout_rate                       a claim: its verdict, difference and interval,
    test_loss: rate-dense_0.2 - baseline            then the line for the verdict that was found
    supported: A moderate rate helps here.
    undecided: These seeds do not show it.
    contradicted: It harms here.
    ```

    ```{verdicts} dropout_rate                      further claims as a list, one a line
    gap: rate-dense_0.5 - rate-dense_0.2
    ```

    ```{plot} seeds dropout_rate                    a figure of `docs.book.figures`
    variants: baseline rate-dense_0.2
    metrics: test_loss gap
    The caption.
    ```

    ```{command} dropout_rate                       the command that trains these runs again
    ```

Where a study is shipped twice, on drawn and on real images, both verdicts are given, and means
and figures are of the real ones. A page opens with the lines of the course notes that it answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from docs.book import evidence
from docs.book.evidence import BookError, Verdict, measured
from docs.book.figures import Plot, draw_all
from regbench.studies.verdicts import Decision
from regbench.text import plain_markdown

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
STUDIES = Path("configs/studies")  # as a reader names them
CONTENTS = "index"
MARK = "<!-- contents -->"
SECTIONS = ("The mathematics", "Measured", "What it depends on", "Make it again", "Exercise")
AGAIN = "again"  # the folder for the runs of a reader
OTHER_ORDER = (
    "It reads the published archive. The runs of this page read the same images in another order,\n"
    "so that your seeds choose others of them: the numbers differ as those of other seeds do."
)
# The look of a verdict's box, a class that Furo knows.
LOOKS = {"supported": "tip", "contradicted": "warning", "undecided": "note"}

FRONT = re.compile(r"\A---\n(.*?)^---\n", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```\{(verdict|verdicts|plot|command)\} ([^\n]+)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"\{mean\}`([^`]+)`")
# Blocks of code and of formulas, code, formulas, targets of links, and years.
NO_PROSE = [
    re.compile(each, re.DOTALL)
    for each in (
        r"```.*?```",
        r"\$\$.*?\$\$",
        r"`[^`]*`",
        r"\$[^$]*\$",
        r"\]\([^)]*\)",
        r"\b(19|20)\d\d\b",
    )
]
# A number as a word of its own: not that of L2 or CIFAR-10.
NUMBER = re.compile(r"(?<![\w.-])-?\d[\d.,]*%?")
TITLE = re.compile(r"^# .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """A line of the course notes, and what answers it.

    `claims` are claims of studies, each "study | claim". Without one, `by` says what else answers
    it. `loose` says what is wrong or loose about the wording.
    """

    text: str
    claims: Sequence[str] = ()
    by: str = ""
    loose: str = ""

    def answer(self) -> str:
        """Return the verdicts on it as Markdown: "supported", or "2 supported, 1 undecided"."""
        return "; ".join([*([f"**{self.loose}**"] if self.loose else []), *self._answers()])

    def _answers(self) -> Iterator[str]:
        if self.by:
            yield self.by
        on: dict[str, list[str]] = {}
        for claim in self.claims:
            study, _, name = claim.partition(" | ")
            for each in evidence.of_study(study):
                on.setdefault(each.images, []).append(said(each.verdict(name)))
        for data, decisions in on.items():
            found = [f"{decisions.count(each)} {each}" for each in dict.fromkeys(decisions)]
            text = decisions[0] if len(decisions) == 1 else ", ".join(found)
            yield f"{data}: {text}" if len(on) > 1 else text


@dataclass(frozen=True)
class Page:
    """A page as it was written."""

    path: Path
    text: str
    lines: Sequence[Line] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def title(self) -> str:
        """The title."""
        found = TITLE.search(self.text)
        return found[0].removeprefix("# ").strip() if found else self.name

    def blocks(self) -> Iterator[tuple[str, str, str]]:
        """Yield kind, arguments and body of each block that is filled in."""
        for found in BLOCK.finditer(self.text):
            yield found[1], found[2], found[3]

    def plots(self) -> Iterator[Plot]:
        """Yield the figures that it shows."""
        for kind, arguments, body in self.blocks():
            if kind == "plot":
                yield plot(arguments, body)

    def studies(self) -> list[str]:
        """Return the studies that it reads, each once."""
        named = [found.split()[0] for found in INLINE.findall(self.text)]
        for kind, arguments, _ in self.blocks():
            named.append(arguments.split()[-1] if kind == "plot" else arguments)
        named += [claim.split(" | ")[0] for line in self.lines for claim in line.claims]
        return list(
            dict.fromkeys(each for each in named if (ROOT / STUDIES / f"{each}.yaml").exists())
        )


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("builder-inited", lambda _: draw())
    app.connect("source-read", fill)
    # Results are files that Sphinx does not watch.
    app.connect("env-get-outdated", lambda *_: [f"book/{name}" for name in [*order(), CONTENTS]])
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Any, page: str, source: list[str]) -> None:
    """Fill in a page of the book, as Sphinx reads it."""
    if page.startswith("book/"):
        source[0] = filled(read(FOLDER / f"{page.removeprefix('book/')}.md"))


def draw() -> list[Path]:
    """Draw all figures of the book; return their files."""
    return draw_all([plot for page in pages() for plot in page.plots()])


def order() -> list[str]:
    """Return the names of the pages in the order of the contents."""
    text = (FOLDER / f"{CONTENTS}.md").read_text(encoding="utf-8")
    tree = re.search(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [name for name in (tree[1].split() if tree else []) if (FOLDER / f"{name}.md").exists()]


def pages() -> list[Page]:
    """Return all pages but the contents, in their order."""
    return [read(FOLDER / f"{name}.md") for name in order()]


def read(path: Path) -> Page:
    """Read a page."""
    text = path.read_text(encoding="utf-8")
    front = FRONT.match(text)
    if front is None:
        return Page(path, text)
    lines = [Line(**each) for each in yaml.safe_load(front[1])["lines"]]
    return Page(path, text[front.end() :], lines)


def filled(page: Page) -> str:
    """Return the page with its numbers, verdicts, figures and command, as Markdown."""
    if page.name == CONTENTS:
        return page.text.replace(MARK, contents())
    text = BLOCK.sub(lambda found: BLOCKS[found[1]](found[2], found[3]), page.text)
    text = INLINE.sub(lambda found: mean(found[1]), text)
    title = TITLE.search(text)
    end = title.end() if title else 0
    return f"{text[:end]}\n{statement(page)}\n{text[end:]}"


def statement(page: Page) -> str:
    """Return what the notes say, as a quotation."""
    return "".join(f"> *The notes:* {line.text}\n>\n" for line in page.lines).rstrip(">\n") + "\n"


def contents() -> str:
    """Return a table of all lines of the notes, with page and verdict."""
    rows = ["| the notes | page | verdict |", "|---|---|---|"]
    for page in pages():
        for line in page.lines:
            link = f"[{page.title}]({page.name}.md)"
            rows.append(f"| {line.text} | {link} | {line.answer()} |")
    return "\n".join(rows)


def mean(asked: str) -> str:
    """Return mean and interval of a metric of a variant: "0.716 ±0.011"."""
    study, metric, variant = asked.split()
    return evidence.of_study(study)[0].mean(metric, variant)


def said(verdict: Verdict) -> str:
    """Return a verdict in words; a counted one is arithmetic."""
    return f"{verdict.decision} by arithmetic" if verdict.exact else verdict.decision


def verdict(study: str, body: str) -> str:
    """Return a box with a claim, its verdict on each data set, and what that means."""
    claim, *texts = body.strip().splitlines()
    meaning = dict(text.split(": ", 1) for text in texts)
    if set(meaning) != set(get_args(Decision)):
        raise BookError(f"{study}: {claim}: expected a line for each of {get_args(Decision)}")
    found = [(each, each.verdict(claim)) for each in evidence.of_study(study)]
    lead = found[0][1]
    title = "; ".join(f"{said(of)} on {each.data}" for each, of in found)
    lines = [
        f"````{{admonition}} {title[:1].upper()}{title[1:]}",
        f":class: {LOOKS[lead.decision]}",
    ]
    lines += ["", f"**{plain_markdown(lead.claim.text)}.**", ""]
    alone = len(found) == 1
    for each, of in found:
        lines += [f"{'Measured' if alone else f'On {each.data}'}: {measured(of)}", ""]
    lines += [meaning[lead.decision]]
    told = _disagreement([of.decision for _, of in found])
    return "\n".join([*lines, *(["", f"**{told}.**"] if told else []), "````"])


def _disagreement(decisions: Sequence[Decision]) -> str:
    """Return in words how verdicts on one claim differ; "" if they don't."""
    # Where one does not decide, it contradicts nothing.
    decided = [each for each in decisions if each != "undecided"]
    if len(set(decided)) > 1:
        return "They disagree"
    if not decided or len(decided) == len(decisions):
        return ""
    return "One alone decides it" if len(decided) == 1 else "Not all decide it"


def verdicts(study: str, body: str) -> str:
    """Return claims as a list, each with its verdict on each data set."""
    found = evidence.of_study(study)
    lines = []
    for claim in body.strip().splitlines():
        text = plain_markdown(found[0].verdict(claim).claim.text)
        answers = [(each, each.verdict(claim)) for each in found]
        if len(found) == 1:
            ((_, of),) = answers
            lines.append(f"- *{text}*: **{said(of)}**: {measured(of)}")
            continue
        lines.append(f"- *{text}*")
        lines += [f"  - **{said(of)}** on {each.data}: {measured(of)}" for each, of in answers]
    return "\n".join(lines)


def plot(arguments: str, body: str) -> Plot:
    """Return the figure that a block asks for."""
    kind, study = arguments.split()
    lead = evidence.of_study(study)[0]
    asked: dict[str, tuple[str, ...]] = {"variants": tuple(lead.variants), "metrics": ()}
    caption = []
    for line in body.strip().splitlines():
        name, _, values = line.partition(": ")
        if name in asked:
            asked[name] = tuple(values.split())
        else:
            caption.append(line)
    return Plot(kind, lead, asked["variants"], asked["metrics"], "\n".join(caption))


def shown(arguments: str, body: str) -> str:
    """Return a figure for a light and one for a dark page."""
    drawn = plot(arguments, body)
    of = f"{drawn.evidence.data}; runs: `results/studies/{drawn.evidence.folder.name}`"
    description = " ".join(drawn.caption.split())
    text = f"{drawn.caption} ({of})"
    return "\n\n".join(
        f"```{{figure}} figures/{path.name}\n:figclass: only-{side}\n:alt: {description}\n\n"
        f"{text}\n```"
        for side, path in zip(("light", "dark"), drawn.files(), strict=True)
    )


def command(study: str, _: str) -> str:
    """Return the command that trains the runs of a study again."""
    lead = evidence.of_study(study)[0]
    path, profile = STUDIES / f"{study}.yaml", lead.stored["profile"]
    text = (ROOT / path).read_text(encoding="utf-8")
    # A profile that is not the first has to be named.
    named = (
        "" if profile == next(iter(yaml.safe_load(text)["profiles"])) else f" --profile {profile}"
    )
    fenced = f"```sh\nregbench study {path}{named} --results {AGAIN}/{study}\n```"
    return fenced if lead.drawn else f"{fenced}\n\n{OTHER_ORDER}"


def problems(page: Page) -> Iterator[str]:
    """Yield what a page lacks, and each number that was typed instead of read from a bundle."""
    missing = [each for each in SECTIONS if f"\n## {each}\n" not in page.text]
    kinds = [kind for kind, _, _ in page.blocks()]
    missing += [each for each in ("plot", "verdict", "command") if each not in kinds]
    missing += [] if "<summary>Solution</summary>" in page.text else ["a solution"]
    missing += [] if page.lines else ["a line of the notes"]
    yield from (f"{page.path}: expected {each}, received none" for each in missing)
    for found in NUMBER.finditer(prose(page.text)):
        yield (
            f"{page.path}: expected numbers of runs as {{mean}} or in a verdict, settings as code "
            f"and others as $formula$, received {found[0]!r} as text"
        )


def prose(text: str) -> str:
    """Return a page without what is filled in, code, formulas, links and years of sources."""
    for part in (BLOCK, INLINE, *NO_PROSE):
        text = part.sub("", text)
    return text


BLOCKS: dict[str, Callable[[str, str], str]] = {
    "verdict": verdict,
    "verdicts": verdicts,
    "plot": shown,
    "command": command,
}
