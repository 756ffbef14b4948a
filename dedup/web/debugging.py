"""The page for whoever looks for a hang: where all tasks and threads of the worker are now."""

from typing import Final

from aiohttp.web import Application, Request, Response

from dedup.streaming.application import DedupApp
from dedup.web.addresses import Addresses

TASKS: Final = "/debug/tasks"


class Debugging:
    """Serves the dump of tasks and threads; behind the token if there is one, as every page."""

    def __init__(self, app: DedupApp) -> None:
        self._app = app

    def add_to(self, web: Application) -> None:
        """Add the route."""
        for address in sorted(Addresses(self._app.settings).of(TASKS)):
            web.router.add_get(address, self.tasks)

    async def tasks(self, _request: Request) -> Response:
        """Return where all tasks and threads are, as the log has it when a partition stalls."""
        return Response(text=self._app.watchdog.dump(), content_type="text/plain")
