"""The live page: what it shows of runs at any moment, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from regbench import config
from regbench.report.watch import server
from regbench.report.watch.state import MOST_POINTS, Watcher
from regbench.runs.files import ERROR, HISTORY_FILE, SUMMARY
from regbench.runs.folder import RunFolder
from tests import made_up_runs

PORT, TOKEN = 8765, "secret"


@pytest.fixture
def results(tmp_path):
    experiments = [config.load("configs/baseline.yaml"), config.load("configs/l2.yaml")]
    made_up_runs.write(tmp_path / "results", experiments, seeds=2, epochs=4)
    return tmp_path / "results"


def cut(folder, epochs):
    """Make a finished run one that was interrupted after some epochs; return its history."""
    lines = (folder / HISTORY_FILE).read_text().splitlines(keepends=True)
    (folder / SUMMARY).unlink()
    (folder / HISTORY_FILE).write_text("".join(lines[: epochs + 2]))
    return lines


def test_each_look_has_what_changed_and_the_table_of_finished_runs(results):
    (unfinished,) = results.glob("l2-*-s1")
    summary = (unfinished / SUMMARY).read_text()
    lines = cut(unfinished, epochs=1)
    watcher = Watcher([results])
    first = watcher.look()
    key = f"results/{unfinished.name}"
    assert len(first.runs) == 4
    assert (first.runs[key]["state"], first.runs[key]["epoch"]) == ("interrupted", 1)
    assert [(row["name"], row["runs"]) for row in first.table] == [("baseline", 2), ("l2", 1)]
    assert watcher.look() is None

    (unfinished / HISTORY_FILE).write_text("".join(lines[:4]))
    second = watcher.look()
    assert list(second.runs) == [key]
    assert second.runs[key]["epoch"] == 2
    assert [epoch for epoch, _ in second.runs[key]["points"]["test_accuracy"]] == [0, 1, 2]

    (unfinished / HISTORY_FILE).write_text("".join(lines))
    (unfinished / SUMMARY).write_text(summary)
    third = watcher.look()
    assert third.runs[key]["state"] == "completed"
    assert [(row["name"], row["runs"]) for row in third.table] == [("baseline", 2), ("l2", 2)]
    assert third.table[1]["versus_test_accuracy"].startswith("+")
    # A page that opens now gets all of it.
    assert watcher.everything().runs.keys() == first.runs.keys()


def test_a_run_that_a_process_holds_is_in_progress_until_that_ends(results):
    (folder,) = results.glob("l2-*-s1")
    cut(folder, epochs=2)
    watcher = Watcher([results])
    key = f"results/{folder.name}"
    with RunFolder(folder).lock():
        found = watcher.look().runs[key]
        assert found["state"] == "in progress"
        assert found["left"]  # from the seconds of its epochs
    assert watcher.look().runs[key]["state"] == "interrupted"  # no file has changed
    (folder / ERROR).write_text("out of memory\n")
    assert watcher.look().runs[key]["state"] == "failed"


def test_it_starts_before_the_runs_and_outlives_their_removal(results, tmp_path):
    watcher = Watcher([tmp_path / "later"])
    assert watcher.look() is None
    results.rename(tmp_path / "later")
    assert len(watcher.look().runs) == 4
    shutil.rmtree(tmp_path / "later")
    change = watcher.look()
    assert len(change.gone) == 4
    assert change.table == []


def test_a_damaged_run_is_left_out_and_comes_back_when_it_is_whole(results):
    (folder,) = results.glob("l2-*-s1")
    whole = (folder / HISTORY_FILE).read_text()
    (folder / HISTORY_FILE).write_text(whole[:-5])
    watcher = Watcher([results])
    assert len(watcher.look().runs) == 3
    (folder / HISTORY_FILE).write_text(whole)
    assert len(watcher.look().runs) == 1


def test_a_long_history_is_thinned_to_what_a_screen_can_show(tmp_path):
    made_up_runs.write(tmp_path, [config.load("configs/baseline.yaml")], epochs=3000)
    (run,) = Watcher([tmp_path]).look().runs.values()
    points = run["points"]["train_loss"]
    assert len(points) <= MOST_POINTS + 1
    assert (points[0][0], points[-1][0]) == (0, 3000)


class Page:
    """Calls the application as a server does, without a network."""

    def __init__(self, watcher):
        self.application = server.application(watcher, TOKEN, PORT)

    def get(self, path, query, **headers):
        """Return status, headers and what has been sent of the body when a part is there."""
        return asyncio.run(self._get(path, query, headers))

    async def _get(self, path, query, headers):
        sent = []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in ({"host": f"127.0.0.1:{PORT}"} | headers).items()
            ],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT), "root_path": "",
        }  # fmt: skip

        async def receive():
            while len([each for each in sent if each.get("body")]) < 1:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await self.application(scope, receive, send)
        (start,) = [each for each in sent if each["type"] == "http.response.start"]
        body = b"".join(each.get("body", b"") for each in sent)
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], found, body.decode()


@pytest.fixture
def page(results):
    watcher = Watcher([results])
    watcher.look()
    return Page(watcher)


def test_whoever_has_the_address_gets_the_page_and_everything_at_once(page):
    status, headers, body = page.get("/", f"token={TOKEN}")
    assert status == 200
    assert "<h1>Runs, live</h1>" in body
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    status, _, body = page.get("/events", f"token={TOKEN}")
    assert status == 200
    event, data = body.split("\n")[:2]
    assert event == "event: everything"
    assert len(json.loads(data.removeprefix("data: "))["runs"]) == 4


@pytest.mark.parametrize("path", ["/", "/events"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("token=guessed", {}),
        ("token=secre", {}),
        (f"token={TOKEN}", {"host": "evil.example"}),
        (f"token={TOKEN}", {"host": f"evil.example:{PORT}"}),
        (f"token={TOKEN}", {"origin": "http://evil.example"}),
        (f"token={TOKEN}", {"origin": "null"}),
    ],
)
def test_a_request_without_the_token_or_from_another_origin_is_refused(path, query, headers, page):
    status, _, body = page.get(path, query, **headers)
    assert status == 403
    assert body.startswith("Refused: ")


def test_nothing_but_reading_is_possible(page):
    assert page.get("/config.yaml", f"token={TOKEN}")[0] == 404
    assert page.get("/../results", f"token={TOKEN}")[0] == 404


def test_a_run_with_watch_serves_the_page_as_long_as_it_trains(monkeypatch):
    from regbench.cli import training

    started = []

    class Server:
        def __init__(self, command, **options):
            started.append(command[1:])

        def terminate(self):
            started.append("ended")

        def wait(self):
            pass

    monkeypatch.setattr(training.subprocess, "Popen", Server)
    with training.watched("results", True):
        assert started == [["-m", "regbench", "watch", "results"]]
    assert started[-1] == "ended"
    with training.watched("results", False):
        pass
    assert len(started) == 2
