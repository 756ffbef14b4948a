"""The worker's web server: Faust's, without Faust's own pages, and protected by a token.

Faust's pages (tables, routing, graph, statistics) expose more than intended, so only pages that
were added by name exist. Every response, including errors, carries `HEADERS`, except aiohttp's own
answer to bytes that are not HTTP. If a token is set, every request must send it, except those for
`PUBLIC`.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from aiohttp import hdrs
from aiohttp.web import Application, Request, Response, StreamResponse, middleware
from faust.web.drivers.aiohttp import Web

from dedup.core.setting_types import is_loopback
from dedup.settings import Settings, open_door
from dedup.streaming.application import WorkerError
from dedup.web.addresses import Addresses

if TYPE_CHECKING:
    from dedup.streaming.application import DedupApp

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every response: load nothing from other sites, cache nothing, send no referrer."""

PUBLIC: Final = frozenset(("/livez", "/readyz"))
"""Paths that need no token: the probes. They expose no event and no secret."""

Handler = Callable[[Request], Awaitable[StreamResponse]]


class LockedWeb(Web):
    """Faust's web server, with only the pages that were added to it."""

    default_blueprints: ClassVar[Any] = ()
    production_blueprints: ClassVar[Any] = ()
    debug_blueprints: ClassVar[Any] = ()
    optional_blueprints: ClassVar[Any] = ()

    app: "DedupApp"

    def __init__(self, app: "DedupApp", settings: Settings, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        token = settings.DEDUP_WEB_TOKEN
        self._has_token = token is not None
        public = {address for path in PUBLIC for address in Addresses(settings).of(path)}
        lock(self.web_app, None if token is None else token.get_secret_value(), public)

    async def on_start(self) -> None:
        """Start serving, unless Faust's `--web-bind` would expose the pages without a token."""
        host = self.app.conf.web_bind
        if is_loopback(host) or self._has_token:
            await super().on_start()
        else:
            self.app.fail(WorkerError(f"{open_door('--web-bind', host)}."))


def lock(pages: Application, token: str | None, public: Collection[str] = PUBLIC) -> None:
    """Add `HEADERS` to every response; with a token, answer 401 to requests without it."""
    pages.on_response_prepare.append(_add_headers)
    if token is not None:
        pages.middlewares.append(_ask_for(token, public))


async def _add_headers(_request: Request, response: StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.popall(hdrs.SERVER, None)  # it exposes versions


def _ask_for(token: str, public: Collection[str]) -> Any:
    expected = token.encode()

    @middleware
    async def ask(request: Request, handler: Handler) -> StreamResponse:
        if request.path in public:
            return await handler(request)
        # In constant time: the duration of a refusal must not reveal how much of the token matches.
        if hmac.compare_digest(_token_in(request.headers.get(hdrs.AUTHORIZATION, "")), expected):
            return await handler(request)
        refusal = Response(
            status=401,
            text="The worker's DEDUP_WEB_TOKEN is required: send `Authorization: Bearer TOKEN`, or "
            "enter it in the browser as the password, with any user name.\n",
            headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
        )
        refusal.headers.add(hdrs.WWW_AUTHENTICATE, 'Basic realm="product-dedup", charset="UTF-8"')
        return refusal

    return ask


def _token_in(authorization: str) -> bytes:
    """Return the token of a header: a bearer token, or the password that a browser asks for."""
    scheme, _, credentials = authorization.partition(" ")
    given = credentials.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() == "basic":
        with suppress(binascii.Error):
            return base64.b64decode(given, validate=True).partition(b":")[2]
    return b""
