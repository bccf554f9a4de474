"""The live page's server: on this machine alone, read-only, for whoever has its address.

The address holds a random token, without which every request is refused. So is one that names
another host (a page elsewhere whose name was pointed at this machine) or comes from another origin.
The page may run its own script, ask this server, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from regbench.report.watch import page
from regbench.report.watch.state import Change, Watcher

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
SECONDS_BETWEEN_LOOKS = 1.0
# Proxies and browsers close a connection on which nothing happens.
SECONDS_BETWEEN_SIGNS_OF_LIFE = 15.0
MOST_PAGES = 50


class Live:
    """The latest state, and the pages that wait for the next."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._pages: set[asyncio.Queue[Change]] = set()

    async def look_forever(self) -> None:
        """Look at the folders, and hand what changed to every open page."""
        while True:
            # In a thread: reading files must not hold up the pages.
            change = await asyncio.to_thread(self._watcher.look)
            if change:
                for waiting in self._pages:
                    waiting.put_nowait(change)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events: everything at first, then each change."""
        waiting = asyncio.Queue[Change]()
        self._pages.add(waiting)
        try:
            yield _event(self._watcher.everything(), "everything")
            while True:
                try:
                    change = await asyncio.wait_for(waiting.get(), SECONDS_BETWEEN_SIGNS_OF_LIFE)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield _event(change, "change")
        finally:
            self._pages.discard(waiting)

    @property
    def is_full(self) -> bool:
        """True if no further page is served."""
        return len(self._pages) >= MOST_PAGES


def serve(watcher: Watcher, port: int, ready: Callable[[str], None]) -> None:
    """Serve the live page until interrupted.

    Args:
        watcher: looks at the results.
        port: the port on the loopback interface, 0 for any that is free.
        ready: called with the page's address once it can be opened.

    Raises:
        OSError: the port is taken.
    """
    import uvicorn

    token = secrets.token_urlsafe(24)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        port = listening.getsockname()[1]
        listening.listen()
        ready(f"http://{HOST}:{port}/?token={token}")
        options = uvicorn.Config(
            application(watcher, token, port), log_level="error", timeout_graceful_shutdown=1
        )
        uvicorn.Server(options).run(sockets=[listening])


def application(watcher: Watcher, token: str, port: int) -> Starlette:
    """Return the application: the page at `/`, its events at `/events`."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    live = Live(watcher)
    html, policy = page.render()
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",  # the token is in the address
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def refusal(request: Request) -> Response | None:
        reason = _refused(request, token, port)
        return PlainTextResponse(f"{reason}\n", 403, headers) if reason else None

    async def index(request: Request) -> Response:
        return refusal(request) or HTMLResponse(html, headers=headers)

    async def events(request: Request) -> Response:
        refused = refusal(request)
        if refused or live.is_full:
            return refused or PlainTextResponse("Too many open pages\n", 503, headers)
        return StreamingResponse(live.events(), headers=headers, media_type="text/event-stream")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(live.look_forever())
        yield
        looking.cancel()

    routes = [Route("/", index), Route("/events", events)]
    return Starlette(routes=routes, lifespan=lifespan)


def _refused(request: Request, token: str, port: int) -> str | None:
    """Return why a request is refused, None if it is answered."""
    hosts = (f"{HOST}:{port}", f"localhost:{port}")
    if request.headers.get("host") not in hosts:
        return "Refused: open the address that regbench watch printed"
    origin = request.headers.get("origin")
    if origin is not None and origin not in [f"http://{host}" for host in hosts]:
        return "Refused: the request comes from another page"
    if not secrets.compare_digest(request.query_params.get("token", "").encode(), token.encode()):
        return "Refused: the address lacks the token that regbench watch printed"
    return None


def _event(change: Change, name: str) -> str:
    data = json.dumps(change.as_dict(), separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {data}\n\n"
