"""What the worker shows on its web server."""

from dedup.settings import Settings
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.web.pages import Pages
from dedup.web.server import LockedWeb


def add_pages(app: DedupApp, settings: Settings, table: StateTable) -> None:
    """Return the app its web server with our pages and no others."""
    web = LockedWeb(app, settings)
    Pages(app, settings, table).add_to(web.web_app)
    app.web = web  # a cached property, which nobody has asked for yet
