"""The worker's web server: Faust's, without Faust's pages, and with a lock on the door.

Faust's own pages (tables, routing, graph, statistics) show and link what nobody has asked for; here
only pages exist that were added by name. Every response, errors too, carries `HEADERS` (but for
the refusal of bytes that are no HTTP, which aiohttp answers itself). With a token nothing but
`PUBLIC` is answered but to who shows it.
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
"""What every response says: run and embed nothing of others, keep and pass on nothing."""

PUBLIC: Final = frozenset(("/livez", "/readyz"))
"""What is answered without the token: an orchestrator's probes. They name no event, no secret."""

Handler = Callable[[Request], Awaitable[StreamResponse]]


class LockedWeb(Web):
    """Faust's web server with the pages that were added to it and no others."""

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
        """Start serving, unless Faust's `--web-bind` would open what the settings keep closed."""
        host = self.app.conf.web_bind
        if is_loopback(host) or self._has_token:
            await super().on_start()
        else:
            self.app.fail(WorkerError(f"{open_door('--web-bind', host)}."))


def lock(pages: Application, token: str | None, public: Collection[str] = PUBLIC) -> None:
    """Return every response `HEADERS`; with a token, answer 401 to whoever does not show it."""
    pages.on_response_prepare.append(_add_headers)
    if token is not None:
        pages.middlewares.append(_ask_for(token, public))


async def _add_headers(_request: Request, response: StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.popall(hdrs.SERVER, None)  # the versions are nobody's business


def _ask_for(token: str, public: Collection[str]) -> Any:
    expected = token.encode()

    @middleware
    async def ask(request: Request, handler: Handler) -> StreamResponse:
        if request.path in public:
            return await handler(request)
        # In constant time: how long a refusal takes must not tell how much of it was right.
        if hmac.compare_digest(_shown(request.headers.get(hdrs.AUTHORIZATION, "")), expected):
            return await handler(request)
        refusal = Response(
            status=401,
            text="Show the worker's DEDUP_WEB_TOKEN: Authorization: Bearer TOKEN, or in a browser "
            "as the password, with any user.\n",
            headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
        )
        refusal.headers.add(hdrs.WWW_AUTHENTICATE, 'Basic realm="product-dedup", charset="UTF-8"')
        return refusal

    return ask


def _shown(authorization: str) -> bytes:
    """Return the token that is shown: as a Bearer's, or as the password a browser asks for."""
    scheme, _, shown = authorization.partition(" ")
    given = shown.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "bearer":
        return given
    if scheme.lower() == "basic":
        with suppress(binascii.Error):
            return base64.b64decode(given, validate=True).partition(b":")[2]
    return b""
