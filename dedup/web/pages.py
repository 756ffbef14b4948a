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

from dedup.settings import Settings
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.web.addresses import Addresses, Links
from dedup.web.dead_letters import read_dead_letters
from dedup.web.event_check import EventChecks
from dedup.web.group_queries import GroupQueries
from dedup.web.live import Live, clock_text
from dedup.web.models import Error, Overview, ProductDetail
from dedup.web.openapi import document, document_text
from dedup.web.overview import Overviews, versions
from dedup.web.partition_router import PartitionRouter
from dedup.web.products import MAX_PRODUCT_ID, SCANNED_FOR_S, Products
from dedup.web.rendering import render

Handler = Callable[[Request], Awaitable[StreamResponse]]

OVERVIEW_EVERY_S: Final = 1.0
PRODUCT_EVERY_S: Final = 2.0

ASSETS: Final = {"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"}
PRODUCT: Final = r"/products/{product_id:[0-9]{1,19}}"


class Pages:
    """The request handlers. A page is rendered from the model that `/api` returns as JSON."""

    def __init__(self, app: DedupApp, settings: Settings, table: StateTable) -> None:
        self._app = app
        self._settings = settings
        self._addresses = Addresses(settings)
        self._router = PartitionRouter(app, settings)
        self._products = Products(app, table, self._router)
        self._overviews = Overviews(app, table, self._router)
        self._group = GroupQueries(self._router, self._products, self._overviews)
        self._checks = EventChecks(app, self._products, self._router, self._group)
        self._live = Live()
        self._overview_html = (0.0, "", "")

    def add_to(self, web: Application) -> None:
        """Add all routes."""
        get, post = partial(self._add, web, "GET"), partial(self._add, web, "POST")
        get("/", self.overview)
        get("/api/overview", self.overview)
        get("/live", self.live_overview)
        get("/products", self.products)
        get("/api/products", self.products)
        get(PRODUCT, self.product)
        get(f"/api{PRODUCT}", self.product)
        get(f"{PRODUCT}/live", self.live_product)
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
            return await handler(request)
        except HTTPException as error:
            if error.status < 400:  # noqa: PLR2004 - a redirect is not an error
                raise
            text = error.text if error.text and not error.empty_body else error.reason
            if self._wants_json(request):
                response = _json(Error(error=text or ""), error.status)
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
            url=self._addresses.links(request),
            path=self._addresses.path(request),
            worker=self._router.this,
            as_of=clock_text(),
            dry_run=self._settings.DEDUP_DRY_RUN,
            **values,
        )
        return Response(text=html, content_type="text/html", status=status)

    def _wants_json(self, request: Request) -> bool:
        return self._addresses.path(request).startswith("/api/")

    def _answer(self, request: Request, template: str, name: str, model: BaseModel) -> Response:
        """Return a model as JSON, or as the page of a template that refers to it by `name`."""
        if self._wants_json(request):
            return _json(model)
        values: dict[str, Any] = {name: model}
        return self._page(request, template, **values)

    async def overview(self, request: Request) -> Response:
        """Return the overview of the worker and its group."""
        return self._answer(request, "overview.html", "overview", await self._overview(request))

    async def _overview(self, request: Request) -> Overview:
        if _asks_this_worker(request):
            return self._overviews.overview()
        return await self._group.overview()

    async def products(self, request: Request) -> Response:
        """Return a page of the group's products."""
        query = request.query
        after, before = _number(query, "after") or 0, _number(query, "before")
        search = query.get("search", "")[:255]
        if _asks_this_worker(request):
            found = await self._products.page(
                after=after, before=before, search=search, within_s=SCANNED_FOR_S
            )
        else:
            found = await self._group.page(after, before, search)
        return self._answer(request, "products.html", "listing", found)

    async def product(self, request: Request) -> Response:
        """Return one product, whichever worker owns it."""
        found = await self._find(request)
        status = 200 if found.known else HTTPNotFound.status_code
        if self._wants_json(request):
            return _json(found, status)
        return self._page(request, "product.html", status, product=found)

    async def _find(self, request: Request) -> ProductDetail:
        """Return the product of a request, whichever worker owns it."""
        product_id = int(request.match_info["product_id"])
        if not 1 <= product_id <= MAX_PRODUCT_ID:
            raise HTTPNotFound(text="A product_id is a number from 1 to 2^63-1.")
        if _asks_this_worker(request):
            return await self._products.product(product_id, brief="brief" in request.query)
        return await self._group.product(product_id, brief="brief" in request.query)

    async def check_form(self, request: Request) -> Response:
        """Return the form, with the result if an event was submitted."""
        form = await request.post() if request.method == "POST" else {}
        event, key = str(form.get("event", "")), str(form.get("key", "")).strip()
        result = None
        if event.strip():
            value = event.encode("utf-8", "surrogateescape")
            result = await self._checks.check(value, key or None, local=False)
        return self._page(request, "check.html", result=result, event=event, key=key)

    async def check(self, request: Request) -> Response:
        """Return the result for the event in the body."""
        value = await request.read()
        if not value:
            raise HTTPBadRequest(text="Send the event's JSON as the body.")
        result = await self._checks.check(
            value, request.query.get("key"), local=_asks_this_worker(request)
        )
        return _json(result)

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

    async def live_product(self, request: Request) -> StreamResponse:
        """Stream a product."""
        url = self._addresses.links(request, f"/products/{request.match_info['product_id']}")

        async def fragment() -> str:
            return self._part("product_live.html", url, product=await self._find(request))

        return await self._live.stream(request, fragment, PRODUCT_EVERY_S)

    def _part(self, template: str, url: Links, **model: BaseModel) -> str:
        return render(template, url=url, dry_run=self._settings.DEDUP_DRY_RUN, **model)

    async def api(self, request: Request) -> Response:
        """Return the page that lists the endpoints of `/api`."""
        return self._page(request, "api.html", document=document())

    async def openapi(self, _request: Request) -> Response:
        """Return the OpenAPI description of `/api`."""
        return Response(text=document_text(), content_type="application/json")

    async def metrics(self, _request: Request) -> Response:
        """Return the metrics in Prometheus' text format."""
        body = generate_latest(self._app.metrics.registry)
        return Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def livez(self, _request: Request) -> Response:
        """Return whether the worker is alive."""
        health = self._overviews.alive()
        return _json(health, 200 if health.ok else HTTPServiceUnavailable.status_code)

    async def readyz(self, _request: Request) -> Response:
        """Return whether the worker's partitions are recovered and processed."""
        health = self._overviews.ready()
        return _json(health, 200 if health.ok else HTTPServiceUnavailable.status_code)

    async def version(self, _request: Request) -> Response:
        """Return the versions."""
        return _json(versions(dry_run=self._settings.DEDUP_DRY_RUN))

    async def asset(self, request: Request) -> Response:
        """Return the script, the style sheet or the icon."""
        name = request.path.rpartition("/")[2]
        body = files("dedup.web").joinpath("static", name).read_bytes()
        return Response(body=body, content_type=ASSETS[name], charset="utf-8")


def _asks_this_worker(request: Request) -> bool:
    """Whether the request is for this worker only, as those of other workers are."""
    return "local" in request.query


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(text=model.model_dump_json(), content_type="application/json", status=status)


def _number(query: Any, name: str) -> int | None:
    """Return a product_id of the query. Raises HTTPBadRequest if it is not one."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_PRODUCT_ID):
        raise HTTPBadRequest(text=f"{name} must be a product_id: a number up to 2^63-1.")
    return int(text)
