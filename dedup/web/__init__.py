"""The worker's web server: pages, JSON API, probes and metrics."""

from dedup.settings import Settings
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.web.pages import Pages
from dedup.web.server import LockedWeb


def add_pages(app: DedupApp, settings: Settings, table: StateTable) -> None:
    """Install a web server in the app that serves our pages and none of Faust's."""
    web = LockedWeb(app, settings)
    Pages(app, settings, table).add_to(web.web_app)
    app.web = web  # a cached property that nothing has read yet
