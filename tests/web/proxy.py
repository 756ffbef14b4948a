"""A reverse proxy such as an ingress: it strips the path it is mapped at and passes the rest on."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from aiohttp import ClientError, ClientSession, ClientTimeout, web

_HOP_BY_HOP = {"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Host"}


class Proxy:
    """Serves `/dedup/NAME/...` as the `/...` of a worker, and names the path in a header.

    `/plain/NAME/...` is the same without the header.
    """

    def __init__(self, port: int, workers: dict[str, int]) -> None:
        self.port = port
        self.asked: list[str] = []
        self._workers = workers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{kind:dedup|plain}/{name}{path:/.*}", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        named = request.match_info
        self.asked.append(request.path)
        prefix = f"/{named['kind']}/{named['name']}"
        headers = {k: v for k, v in request.headers.items() if k not in _HOP_BY_HOP}
        if named["kind"] == "dedup":
            headers["X-Forwarded-Prefix"] = prefix
        rest = str(request.rel_url).removeprefix(prefix)
        url = f"http://127.0.0.1:{self._workers[named['name']]}{rest}"
        body = await request.read()
        response: web.StreamResponse | None = None
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session,
                session.request(
                    request.method, url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                passed = {k: v for k, v in answer.headers.items() if k not in _HOP_BY_HOP}
                response = web.StreamResponse(status=answer.status, headers=passed)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
        except (ClientError, ConnectionError):
            return response or web.Response(status=502, text="The worker does not answer.")
        return response
