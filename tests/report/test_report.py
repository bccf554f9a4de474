"""The page of a report: what is in it, and that no run folder can make it do anything else."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from regbench import config, figures, report, runs
from regbench.analysis import compare
from regbench.errors import RegbenchError
from regbench.figures import FIGURES, Shared, probes, style
from regbench.report import charts, page, provenance, tables
from regbench.runs import probe_results
from tests import made_up_runs
from tests.figures.test_figures import OF_STUDIES


class Outline(HTMLParser):
    """Collects the tags of a page with their attributes, and its scripts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.scripts = [], []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._script = tag == "script"

    def handle_data(self, data):
        if self._script:
            self.scripts.append(data)

    def handle_endtag(self, tag):
        self._script = False

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    experiments = {each.name: each for each in made_up_runs.twenty()}
    chosen = [experiments[name] for name in ("baseline", "all", "batch_norm", "dropout")]
    made_up_runs.write(folder, chosen, seeds=2, epochs=6)
    return folder


@pytest.fixture(scope="module")
def text(results):
    return report.render(runs.load(results))


def test_the_policy_allows_the_pages_own_scripts_and_nothing_else(text):
    outline = Outline(text)
    (policy,) = [tag["content"] for tag in outline.all("meta") if "http-equiv" in tag]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in rules["script-src"]
    scripts = [each for each in outline.scripts if not each.lstrip().startswith("{")]
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    assert rules["script-src"].split() == [f"'sha256-{each}'" for each in hashes]
    assert len(hashes) == 2


def test_no_tag_has_an_address_outside_of_the_page(text):
    for _, attributes in Outline(text).tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:image/")), value


def test_every_figure_has_a_table_and_a_name(text):
    outline = Outline(text)
    drawn = [each["data-figure"] for each in outline.all("figure")]
    assert drawn == [name for name in FIGURES if name not in OF_STUDIES]
    assert text.count("<figure") == text.count("</details>\n</figure>")
    images = [each for each in outline.all("div") if each.get("class") == "chart"]
    assert all(each["role"] == "img" and each["aria-label"] for each in images)


def test_the_headline_has_means_intervals_and_differences(text):
    rows = re.findall(r'<tr data-variant="(.*?)">(.*?)</tr>', text, re.DOTALL)
    assert [name for name, _ in rows] == ["baseline", "all", "batch_norm", "dropout"]
    assert rows[0][1].count("±") == 3  # train, test, gap
    assert rows[1][1].count("±") == 5  # and both differences
    assert "550,570" in rows[1][1]


def test_names_in_run_folders_are_escaped_wherever_they_are_shown(text):
    hostile = made_up_runs.CLASSES[2]
    assert hostile not in text
    assert html.escape(hostile) in text


def test_a_command_can_neither_end_a_script_nor_the_page(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=2)
    path = next(tmp_path.glob("*/environment.json"))
    command = ["regbench", "</pre></script><script>alert(1)</script>"]
    path.write_text(json.dumps(made_up_runs.ENVIRONMENT | {"command": command}))
    text = report.render(runs.load(tmp_path))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_a_name_cannot_end_the_script_that_holds_the_figures_data(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=2)
    frame = runs.load(tmp_path)  # refuses such names, but a frame may come from elsewhere
    text = report.render(frame.assign(name=HOSTILE))
    assert HOSTILE not in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert HOSTILE in str(json.loads(data))


def test_environment_values_and_packages_are_escaped(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=2, probed=False)
    values = {key: f"{HOSTILE}{key}" for key in provenance.SHOWN}
    values |= {"packages": {HOSTILE[:40]: HOSTILE}, "git_commit": HOSTILE, "devices": [HOSTILE]}
    next(tmp_path.glob("*/environment.json")).write_text(json.dumps(values))
    text = report.render(runs.load(tmp_path))
    assert HOSTILE not in text
    assert "<img src=x onerror" not in text
    assert html.escape(HOSTILE) in text


def test_changes_are_escaped_wherever_they_are_shown(tmp_path):
    path = json.dumps(HOSTILE)
    baseline = config.load("configs/baseline.yaml")
    other = config.load(
        "configs/baseline.yaml", ["name=other", "data.name=image_folder", f"data.path={path}"]
    )
    made_up_runs.write(tmp_path, [baseline, other], epochs=2, probed=False)
    text = report.render(runs.load(tmp_path))
    assert HOSTILE not in text
    assert "<img src=x onerror" not in text
    assert "&lt;img src=x" in text


def test_a_name_that_may_be_broken_into_lines_is_escaped():
    assert page._breakable("<i>a_b") == "&lt;i&gt;a_<wbr>b"


def test_unprintable_characters_in_an_environment_are_escaped(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=2, probed=False)
    values = {"cpu": "\ud800", "packages": {"\udfff": "1"}, "command": ["\ud8ff\x1b[2J"]}
    next(tmp_path.glob("*/environment.json")).write_text(json.dumps(values))
    report.write(runs.load(tmp_path), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert r"\ud800" in text
    assert r"\x1b[2J" in text


WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from regbench.cli import main
for arguments in (["compare"], ["report", "-o", sys.argv[2]]):
    try:
        main([arguments[0], sys.argv[1], *arguments[1:]])
    except SystemExit as end:
        assert not end.code, end
assert any(path.endswith("summary.json") for path in opened)  # it does watch
print([path for path in opened if path.endswith(".keras") or "/checkpoint" in path])
"""


def test_comparing_and_reporting_opens_no_model_and_no_checkpoint(tmp_path):
    made_up_runs.write(tmp_path / "results", made_up_runs.twenty()[:2], epochs=2)
    for folder in (tmp_path / "results").iterdir():
        (folder / "model.keras").write_bytes(b"hostile")
        (folder / "checkpoint/000001-000000000").mkdir(parents=True)
        (folder / "checkpoint/000001-000000000/state.json").write_bytes(b"hostile")
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "results"), str(tmp_path / "r.html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_runs_without_probes_are_reported_on_and_it_says_so(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:4], epochs=4, probed=False)
    text = report.render(runs.load(tmp_path))
    assert "These runs have no probes" in text
    drawn = [each["data-figure"] for each in Outline(text).all("figure")]
    assert drawn == ["together", "curves", "gap", "differences", "cost"]


def test_a_mixture_says_how_many_variants_have_no_probes(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:2], epochs=3)
    made_up_runs.write(tmp_path, made_up_runs.twenty()[2:3], epochs=3, probed=False)
    assert "1 of 3 variants have no probes" in report.render(runs.load(tmp_path))


def test_one_run_alone_is_a_report_too(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=1)
    text = report.render(runs.load(tmp_path))
    assert "1 variant, 1 run, 1 epoch." in text
    assert "±" not in re.search(r"<tr data-variant.*?</tr>", text, re.DOTALL)[0]


def test_no_runs_are_one_clear_error(tmp_path):
    with pytest.raises(RegbenchError, match="expected finished runs, received none"):
        report.render(runs.load(tmp_path))


def test_every_color_of_the_figures_has_one_for_the_dark():
    used = {value for value in vars(style).values() if re.fullmatch("#[0-9A-F]{6}", str(value))}
    assert used == set(charts.DARK)
    assert used >= set(style.COLORS)


def test_no_figure_has_a_color_that_the_dark_does_not_know(text):
    (data,) = [each for each in Outline(text).scripts if each.lstrip().startswith("{")]
    assert "var(--c0072b2)" in data
    assert re.findall(r'"#[0-9A-Fa-f]{3,6}"', data) == []


def test_the_ledger_table_sums_to_the_test_number(results):
    loaded = runs.load(results)
    table = tables.ledger_table(loaded, Shared((), probes.found_in(loaded.frame)))
    for _, *cells in table.rows:
        *steps, test = map(float, cells)
        assert sum(steps) == pytest.approx(test, abs=5e-4)  # each cell is rounded


def test_the_term_of_targets_and_augmentation_is_shown_where_a_run_has_it_alone(results, tmp_path):
    made_up_runs.write(tmp_path, [config.load("configs/crop.yaml")], epochs=3)
    both = [results, tmp_path]
    text, plain = report.render(runs.load(both)), report.render(runs.load(results))
    assert "targets, augmentation" not in plain
    assert "Targets, augmentation: what training on changed images" not in plain
    assert "Targets, augmentation: what training on changed images" in text
    frame = runs.load(both).frame
    table = tables.ledger_table(frame, Shared((), probes.found_in(frame)))
    column = table.headings.index("targets, augmentation")
    for heading, *cells in table.rows:
        assert (cells[column - 1] != "") == heading.startswith("crop,")
        *steps, test = [float(cell) for cell in cells if cell]
        assert sum(steps) == pytest.approx(test, abs=5e-4)


def test_origins_name_each_machine_and_command_once(results):
    found = provenance.of(runs.load(results))
    assert found.commands == ["regbench run configs/baseline.yaml --seeds 0-4"]
    assert found.facts["backend"] == ["tensorflow"]
    assert found.facts["keras"] == ["3.15.1"]


def test_a_damaged_environment_is_left_out_with_a_warning(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:1], epochs=1)
    next(tmp_path.glob("*/environment.json")).write_text("[" * 100_000)
    warnings = []
    assert provenance.of(runs.load(tmp_path), warnings.append).commands == []
    assert "environment.json can't be read" in warnings[0]


def test_the_command_writes_the_page_without_loading_a_framework(results, tmp_path):
    code = (
        "import sys; from regbench.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end\n"
        "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "report", str(results), "-o", str(tmp_path / "r.html")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")


def test_the_table_of_differences_tells_both_tests_and_the_seeds_needed(tmp_path):
    made_up_runs.write(tmp_path, made_up_runs.twenty()[:3], seeds=2, epochs=2, probed=False)
    page = report.render(runs.load(tmp_path))
    for heading in ("p flip", "p Holm", "seeds needed"):
        assert page.count(f'<th scope="col">{heading}</th>') == 2  # of test accuracy and of gap
    assert "<td>0.5 (floor)</td>" in page


def counted(monkeypatch, module, name):
    """Return a list of the calls of a module's function from now on."""
    calls, function = [], getattr(module, name)

    def count(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, count)
    return calls


def test_a_page_compares_once_and_reads_the_probes_of_each_run_once(results, monkeypatch):
    compared = counted(monkeypatch, compare, "compare")
    read = counted(monkeypatch, probe_results, "read")
    assert "<figure" in report.render(runs.load(results))
    assert len(compared) == 1
    assert len(read) == len(set(read)) == len(list(results.iterdir()))


def test_the_figures_of_a_paper_compare_once_and_read_each_run_once(results, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "save", lambda chart, path, **options: None)
    compared = counted(monkeypatch, compare, "compare")
    read = counted(monkeypatch, probe_results, "read")
    drawn = len(FIGURES) - len(OF_STUDIES)
    assert len(figures.save_all(runs.load(results), tmp_path)) == 2 * drawn
    assert len(compared) == 1
    assert len(read) == len(set(read)) == len(list(results.iterdir()))
