"""Live pages: sends the part of a page that changes as server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from aiohttp.web import (
    Application,
    HTTPException,
    HTTPServiceUnavailable,
    Request,
    StreamResponse,
)

STREAMS: Final = 32
"""Maximum number of live pages: they are rendered on the event loop that processes batches."""


class Live:
    """The open streams of server-sent events."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._streams = 0

    async def stop(self, _web: Application) -> None:
        """End all streams: the server waits for them at shutdown."""
        self._stopping.set()

    async def stream(
        self, request: Request, fragment: Callable[[], Awaitable[str]], every_s: float
    ) -> StreamResponse:
        """Send a part of a page whenever it has changed, and the time as a heartbeat."""
        if self._streams >= STREAMS:
            raise HTTPServiceUnavailable(
                text=f"{STREAMS} live pages are open, which is the maximum."
            )
        self._streams += 1
        try:
            # A proxy that buffers, as nginx does by default, would hold the events back.
            headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            response = StreamResponse(headers=headers)
            await response.prepare(request)
            last = None
            while not self._stopping.is_set():
                try:
                    html = await fragment()
                except HTTPException as error:
                    sent = _event("failed", error.text or error.reason)
                else:
                    sent = _event(None, html) if html != last else ""
                    sent += _event("alive", clock_text())
                    last = html
                await response.write(sent.encode())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), every_s)
        except ConnectionError:
            pass  # the browser has gone
        finally:
            self._streams -= 1
        return response


def _event(kind: str | None, text: str) -> str:
    """Return a server-sent event; without a kind, the page receives it as `message`."""
    data = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"{data}\n" if kind is None else f"event: {kind}\n{data}\n"


def clock_text() -> str:
    """Return the time in UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
