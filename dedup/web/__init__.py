"""What the worker shows on its web server."""

from typing import TYPE_CHECKING, Any

from prometheus_client import generate_latest

from dedup.settings import Settings
from dedup.web.server import LockedWeb

if TYPE_CHECKING:
    from dedup.streaming.application import DedupApp


def add_pages(app: "DedupApp", settings: Settings) -> None:
    """Give the app its web server with our pages and no others: `/metrics`."""
    app.web = LockedWeb(app, settings)  # a cached property, which nobody has asked for yet

    @app.page("/metrics")
    async def metrics(web: Any, _request: Any) -> Any:
        """Metrics in Prometheus' text format."""
        return web.bytes(generate_latest(app.metrics.registry), content_type="text/plain")
