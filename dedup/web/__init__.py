"""The worker's web server: pages, JSON API, probes and metrics."""

from dedup.streaming.application import DedupApp
from dedup.web.debugging import Debugging
from dedup.web.pages import Pages
from dedup.web.server import LockedWeb


def new_web(app: DedupApp) -> LockedWeb:
    """Return a web server with our pages and no others."""
    web = LockedWeb(app, app.settings)
    Pages(app, app.settings, app.table).add_to(web.web_app)
    Debugging(app).add_to(web.web_app)
    return web
