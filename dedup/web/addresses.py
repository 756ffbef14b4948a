"""The addresses of the pages, also behind a proxy that serves them below a path such as `/dedup/`.

`links` builds every link relative to the page that contains it, so links work below any path that
a proxy strips, even one unknown to the worker. If the proxy sends that path in
`X-Forwarded-Prefix`, links begin with it: then they also work when the browser omits the trailing
`/`. A proxy that strips nothing reaches the pages below the path of `DEDUP_WEB_URL`.
"""

from collections.abc import Callable
from typing import Final

from aiohttp.web import Request

from dedup.core.setting_types import is_plain_path
from dedup.settings import Settings

PREFIX_HEADER: Final = "X-Forwarded-Prefix"

Links = Callable[[str], str]


class Addresses:
    """Serves every page at its path, and below the path of `DEDUP_WEB_URL` if that has one."""

    def __init__(self, settings: Settings) -> None:
        self._below = settings.web_path

    def of(self, path: str) -> set[str]:
        """Return the addresses that a page is served at."""
        addresses = {path, self._below + path}
        return addresses | {self._below} if self._below and path == "/" else addresses

    def path(self, request: Request) -> str:
        """Return the path of a request without the path of `DEDUP_WEB_URL`."""
        return self._less(request.path) or "/"

    def links(self, request: Request, page: str | None = None) -> Links:
        """Return the function that builds links on the requested page, or on `page`.

        A client can send any text in the header: only a plain path is accepted, so a link can't
        lead to another host.
        """
        prefix = request.headers.get(PREFIX_HEADER, "")
        if is_plain_path(prefix):
            root = prefix.rstrip("/") + "/"
        else:
            at = self._less(request.rel_url.raw_path) if page is None else page
            # Without the trailing `/` the path itself is the page: the root is one step down.
            last = self._below.rpartition("/")[2]
            root = "../" * (at.count("/") - 1) or "./" if at else f"{last}/"
        return lambda path: root + path.removeprefix("/")

    def _less(self, path: str) -> str:
        below = self._below
        inside = path == below or path.startswith(f"{below}/")
        return path.removeprefix(below) if below and inside else path
