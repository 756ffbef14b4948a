"""All routes of the worker's web server: HTML, JSON and live updates."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from time import monotonic
from typing import Any, Final

from aiohttp.web import (
    Application,
    HTTPBadRequest,
    HTTPException,
    HTTPNotFound,
    HTTPServiceUnavailable,
    Request,
    Response,
    StreamResponse,
    middleware,
)
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from dedup.core.keys import Id
from dedup.settings import Settings
from dedup.state.store_errors import StoreError
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.web.addresses import Addresses, Links
from dedup.web.dead_letters import read_dead_letters
from dedup.web.entity_rows import SCANNED_FOR_S, EntityRows
from dedup.web.entity_view import view_of
from dedup.web.event_check import EventChecks
from dedup.web.event_description import describe_event
from dedup.web.group_queries import GroupQueries
from dedup.web.ids import from_segment
from dedup.web.live import Live, clock_text
from dedup.web.models import EntityDetail, Error, Overview
from dedup.web.openapi import document, document_text
from dedup.web.overview import Overviews, versions
from dedup.web.partition_router import PartitionRouter
from dedup.web.rendering import json_response, render

Handler = Callable[[Request], Awaitable[StreamResponse]]

OVERVIEW_EVERY_S: Final = 1.0
ROW_EVERY_S: Final = 2.0

ASSETS: Final = {"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Pages:
    """The request handlers. A page is rendered from the model that `/api` returns as JSON."""

    def __init__(self, app: DedupApp, settings: Settings, table: StateTable) -> None:
        self._app = app
        self._settings = settings
        self._addresses = Addresses(settings)
        self._router = PartitionRouter(app, settings)
        self._view = view_of(settings.entity)
        self._rows = EntityRows(app, table, self._router)
        self._overviews = Overviews(app, table, self._router)
        self._group = GroupQueries(app, self._router, self._rows, self._overviews)
        self._checks = EventChecks(app, self._rows, self._router, self._group)
        self._event = describe_event(settings.entity, settings.DEDUP_CONTENT_FIELDS)
        self._shown_everywhere = {
            "dry_run": settings.DEDUP_DRY_RUN,
            "output": settings.KAFKA_SRC_PRODUCTS_TOPIC,
            "source": settings.KAFKA_PRODUCT_TOPIC,
        }
        self._live = Live()
        self._overview_html = (0.0, "", "")

    def add_to(self, web: Application) -> None:
        """Add all routes."""
        get, post = partial(self._add, web, "GET"), partial(self._add, web, "POST")
        get("/", self.overview)
        get("/api/overview", self.overview)
        get("/live", self.live_overview)
        rows, row = self._view.path, f"{self._view.path}/{{id:[^/]+}}"
        get(rows, self.rows)
        get(f"/api{rows}", self.rows)
        get(row, self.row)
        get(f"/api{row}", self.row)
        get(f"{row}/live", self.live_row)
        get("/event", self.event)
        get("/api/event", self.event)
        get("/check", self.check_form)
        post("/check", self.check_form)
        post("/api/check", self.check)
        get("/dead-letters", self.dead_letters)
        get("/api/dead-letters", self.dead_letters)
        get("/api", self.api)
        get("/api/openapi.json", self.openapi)
        get("/metrics", self.metrics)
        get("/livez", self.livez)
        get("/readyz", self.readyz)
        get("/version", self.version)
        for name in ASSETS:
            get(f"/static/{name}", self.asset)
        web.middlewares.append(self.explain)
        web.on_shutdown.append(self._live.stop)

    def _add(self, web: Application, method: str, path: str, handler: Handler) -> None:
        for address in sorted(self._addresses.of(path)):
            if method == "GET":
                web.router.add_get(address, handler, allow_head=not path.endswith("/live"))
            else:
                web.router.add_route(method, address, handler)

    @middleware
    async def explain(self, request: Request, handler: Handler) -> StreamResponse:
        """Return an error as a page, or as JSON below `/api`."""
        try:
            try:
                return await handler(request)
            except StoreError as error:  # the next flush raises it too, and stops the worker
                raise HTTPServiceUnavailable(text=str(error)) from error
        except HTTPException as error:
            if error.status < 400:  # noqa: PLR2004 - a redirect is not an error
                raise
            text = error.text if error.text and not error.empty_body else error.reason
            if self._wants_json(request):
                response = json_response(Error(error=text or ""), error.status)
            else:
                response = self._page(
                    request, "error.html", error.status, reason=error.reason, text=text or ""
                )
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        html = render(
            template,
            self._view,
            url=self._addresses.links(request),
            path=self._addresses.path(request),
            worker=self._router.this,
            as_of=clock_text(),
            **self._shown_everywhere,
            **values,
        )
        return Response(text=html, content_type="text/html", status=status)

    def _wants_json(self, request: Request) -> bool:
        return self._addresses.path(request).startswith("/api/")

    def _answer(self, request: Request, template: str, name: str, model: BaseModel) -> Response:
        """Return a model as JSON, or as the page of a template that refers to it by `name`."""
        if self._wants_json(request):
            return json_response(model)
        values: dict[str, Any] = {name: model}
        return self._page(request, template, **values)

    async def overview(self, request: Request) -> Response:
        """Return the overview of the worker and its group."""
        return self._answer(request, "overview.html", "overview", await self._overview(request))

    async def _overview(self, request: Request) -> Overview:
        if _asks_this_worker(request):
            return self._overviews.overview()
        return await self._group.overview()

    async def rows(self, request: Request) -> Response:
        """Return a page of the group's rows."""
        query = request.query
        after, before = self._cursor(request, "after"), self._cursor(request, "before")
        after = None if after is None or self._view.ids.is_before_all(after) else after
        search = query.get("search", "")[:255]
        if _asks_this_worker(request):
            found = await self._rows.page(
                after=after, before=before, search=search, within_s=SCANNED_FOR_S
            )
        else:
            found = await self._group.page(after, before, search)
        return self._answer(request, "rows.html", "listing", found)

    def _cursor(self, request: Request, name: str) -> Id | None:
        """Return a cursor of the query. Raises HTTPBadRequest if it is none."""
        text = request.query.get(name)
        try:
            return None if text is None else self._view.ids.read_cursor(text)
        except ValueError as error:
            raise HTTPBadRequest(text=f"{name} must be {error}.") from None

    async def row(self, request: Request) -> Response:
        """Return what is known of one id, whichever worker owns it."""
        found = await self._find(request)
        status = 200 if found.known else HTTPNotFound.status_code
        if self._wants_json(request):
            return json_response(found, status)
        return self._page(request, "row.html", status, found=found)

    async def _find(self, request: Request) -> EntityDetail:
        """Return what is known of the id of a request, whichever worker owns it."""
        row_id = self._view.ids.read(from_segment(request.match_info["id"]))
        if row_id is None:
            raise HTTPNotFound(text=self._view.ids.expected)
        if _asks_this_worker(request):
            return await self._rows.row(row_id, brief="brief" in request.query)
        return await self._group.row(row_id, brief="brief" in request.query)

    async def check_form(self, request: Request) -> Response:
        """Return the form, with the result if an event was submitted."""
        form = await request.post() if request.method == "POST" else {}
        shown = await self._checks.form(form)
        return self._page(request, "check.html", described=self._event, **shown)

    async def check(self, request: Request) -> Response:
        """Return the result for the event in the body."""
        value = await request.read()
        if not value:
            raise HTTPBadRequest(text="Send the event's JSON as the body.")
        result = await self._checks.check(
            value, request.query.get("key"), request.query, local=_asks_this_worker(request)
        )
        return json_response(result)

    async def event(self, request: Request) -> Response:
        """Return what an event is."""
        return self._answer(request, "event.html", "described", self._event)

    async def dead_letters(self, request: Request) -> Response:
        """Return the newest dead letters."""
        overview = await self._overview(request)
        missing = [] if overview.group is None else overview.group.unanswered
        counted = overview.group or overview
        found = await read_dead_letters(self._settings, counted, missing)
        return self._answer(request, "dead_letters.html", "dead_letters", found)

    async def live_overview(self, request: Request) -> StreamResponse:
        """Stream the overview."""
        url = self._addresses.links(request, "/")

        async def fragment() -> str:
            second, root, html = self._overview_html
            if root != url("/") or monotonic() - second >= OVERVIEW_EVERY_S / 2:
                html = self._part("overview_live.html", url, overview=await self._group.overview())
                self._overview_html = (monotonic(), url("/"), html)  # rendered once for all streams
            return html

        return await self._live.stream(request, fragment, OVERVIEW_EVERY_S)

    async def live_row(self, request: Request) -> StreamResponse:
        """Stream a row."""
        url = self._addresses.links(request, f"{self._view.path}/{request.match_info['id']}")

        async def fragment() -> str:
            return self._part("row_live.html", url, found=await self._find(request))

        return await self._live.stream(request, fragment, ROW_EVERY_S)

    def _part(self, template: str, url: Links, **model: BaseModel) -> str:
        return render(template, self._view, url=url, **self._shown_everywhere, **model)

    async def api(self, request: Request) -> Response:
        """Return the page that lists the endpoints of `/api`."""
        return self._page(request, "api.html", document=document(self._settings.entity))

    async def openapi(self, _request: Request) -> Response:
        """Return the OpenAPI description of `/api`."""
        return Response(text=document_text(self._settings.entity), content_type="application/json")

    async def metrics(self, _request: Request) -> Response:
        """Return the metrics in Prometheus' text format."""
        body = generate_latest(self._app.metrics.registry)
        return Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def livez(self, _request: Request) -> Response:
        """Return whether the worker is alive."""
        health = self._overviews.alive()
        return json_response(health, 200 if health.ok else HTTPServiceUnavailable.status_code)

    async def readyz(self, _request: Request) -> Response:
        """Return whether the worker's partitions are recovered and processed."""
        health = self._overviews.ready()
        return json_response(health, 200 if health.ok else HTTPServiceUnavailable.status_code)

    async def version(self, _request: Request) -> Response:
        """Return the versions."""
        return json_response(versions(dry_run=self._settings.DEDUP_DRY_RUN))

    async def asset(self, request: Request) -> Response:
        """Return the script, the style sheet or the icon."""
        name = request.path.rpartition("/")[2]
        body = files("dedup.web").joinpath("static", name).read_bytes()
        return Response(body=body, content_type=ASSETS[name], charset="utf-8")


def _asks_this_worker(request: Request) -> bool:
    """Whether the request is for this worker only, as those of other workers are."""
    return "local" in request.query
