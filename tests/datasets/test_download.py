"""Downloads from servers of this machine that are cut off, slow, wrong or gone."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from regbench.datasets import download as module
from regbench.datasets.download import DownloadFailed, Remote, download
from regbench.datasets.errors import DataError

CONTENT = np.random.default_rng(0).bytes(300_000)


@dataclass
class Server:
    """What a local server sends and what it was asked for."""

    content: bytes = CONTENT
    cut: int | None = None  # bytes after which it closes each connection
    ranges: bool = True
    pause: float = 0  # seconds after each 1,000 bytes
    status: int | None = None
    length: bool = True
    shift: int = 0  # how far the range it sends is from the one asked for
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def serve() -> Iterator:
    running = []

    def start(**settings) -> Server:
        server = Server(**settings)
        listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        running.append(listener)
        server.url = f"http://127.0.0.1:{listener.server_port}/file"
        return server

    yield start
    for listener in running:
        listener.shutdown()
        listener.server_close()


def handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            server.asked.append(asked)
            if server.status:
                return self.send_error(server.status)
            start = 0
            if asked and server.ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-")) + server.shift
            self.send_response(206 if start else 200)
            size = len(server.content)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            if server.length:
                self.send_header("Content-Length", str(size - start))
            self.end_headers()
            self.send(server.content[start:][: server.cut])

        def send(self, body: bytes) -> None:
            step = 1000 if server.pause else len(body) or 1
            for start in range(0, len(body), step):
                try:
                    self.wfile.write(body[start : start + step])
                except OSError:
                    return
                time.sleep(server.pause)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def remote(*servers: Server, content: bytes = CONTENT) -> Remote:
    urls = tuple(server.url for server in servers)
    return Remote(urls, hashlib.sha256(content).hexdigest(), len(content))


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.tar.gz"


def test_a_file_arrives_whole_and_progress_is_told(serve, target):
    told = []
    download(remote(serve()), target, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert told == sorted(told)
    assert told[-1] == (300_000, 300_000)
    assert not part_of(target).exists()


def test_a_cut_connection_is_resumed_where_it_ended(serve, target):
    server = serve(cut=120_000)
    download(remote(server), target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=120000-", "bytes=240000-"]


def test_a_later_attempt_resumes_what_an_earlier_one_left(serve, target):
    broken = serve(cut=0)
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    with pytest.raises(DownloadFailed, match="connection lost"):
        download(remote(broken), target)
    assert part_of(target).read_bytes() == CONTENT[:1000]
    server = serve()
    told = []
    download(remote(server), target, lambda done, total: told.append(done))
    assert server.asked == ["bytes=1000-"]
    assert min(told) > 1000


def test_a_server_without_ranges_starts_the_file_over(serve, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    server = serve(ranges=False)
    download(remote(server), target)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_range_that_begins_elsewhere_is_not_appended(serve, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    shifted, good = serve(shift=10), serve()
    download(remote(shifted, good), target)
    assert target.read_bytes() == CONTENT
    assert good.asked == ["bytes=1000-"]


def test_wrong_bytes_of_one_source_are_thrown_away_and_the_next_is_asked(serve, target):
    wrong, good = serve(content=bytes(300_000)), serve()
    download(remote(wrong, good), target)
    assert target.read_bytes() == CONTENT
    assert good.asked == [None]


def test_wrong_bytes_of_an_earlier_source_do_not_count_against_the_next(serve, target):
    wrong, good = serve(content=bytes(300_000), cut=0), serve()
    target.parent.mkdir()
    part_of(target).write_bytes(bytes(1000))
    download(remote(wrong, good), target)
    assert target.read_bytes() == CONTENT
    assert good.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("length", [True, False])
def test_an_error_page_in_place_of_the_file_is_not_taken_for_it(serve, target, length):
    page, good = serve(content=b"<html>moved</html>", length=length, ranges=False), serve()
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:5])
    download(remote(page, good), target)
    assert target.read_bytes() == CONTENT
    # Where the page's length is known, what there was of the file is kept.
    assert good.asked == (["bytes=5-"] if length else ["bytes=18-", None])


def test_a_file_that_goes_on_and_on_is_refused(serve, target):
    endless = serve(content=CONTENT + b"x", length=False)
    with pytest.raises(DownloadFailed, match="larger file"):
        download(remote(endless), target)
    assert not target.exists()


def test_when_all_sources_are_down_each_reason_is_told_in_one_line(serve, target):
    gone, wrong = serve(status=404), serve(content=bytes(300_000))
    nobody = Server(url="http://127.0.0.1:9/file")
    with pytest.raises(DownloadFailed) as failure:
        download(remote(gone, nobody, wrong), target)
    text = str(failure.value)
    assert "HTTP status 404" in text
    assert "127.0.0.1:9: no connection" in text
    assert "another file than expected" in text
    assert "\n" not in text
    assert not target.exists()


def test_a_slow_source_gives_way_and_the_next_one_continues(serve, target, monkeypatch):
    monkeypatch.setattr(module, "SLOW_WINDOW_SECONDS", 0.2)
    slow, fast = serve(pause=0.05), serve()
    download(remote(slow, fast), target)
    assert target.read_bytes() == CONTENT
    assert int(fast.asked[0].removeprefix("bytes=").removesuffix("-")) >= 1000


def test_a_slow_source_is_used_when_there_is_no_other(serve, target, monkeypatch):
    monkeypatch.setattr(module, "SLOW_WINDOW_SECONDS", 0.1)
    monkeypatch.setattr(module, "SLOW_BYTES_PER_SECOND", 10**9)
    content = CONTENT[:20_000]
    slow, gone = serve(content=content, pause=0.02), serve(status=503)
    download(remote(slow, gone, content=content), target)
    assert target.read_bytes() == content
    assert len(slow.asked) == 2


def test_two_at_once_download_once(serve, target):
    server = serve(pause=0.0005)
    threads = [threading.Thread(target=download, args=(remote(server), target)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_folder_that_cannot_be_written_is_one_clear_error(serve, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="REGBENCH_DATA"):
        download(remote(serve()), tmp_path / "file" / "archive")


def test_a_full_disk_is_one_clear_error_and_keeps_what_arrived(serve, target, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        download(remote(serve()), target)
    assert part_of(target).exists()
