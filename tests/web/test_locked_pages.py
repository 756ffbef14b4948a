"""The worker's pages: ours only, with their headers, and behind a token where one is set."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientResponse, encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from dedup.core.errors import SettingsError
from dedup.localkafka.ports import free_port
from dedup.settings import load_settings
from dedup.streaming.application import DedupApp, WorkerError
from dedup.streaming.wiring import build_app
from dedup.web.partition_router import Ask, NoAnswerError, PartitionRouter
from dedup.web.server import HEADERS, LockedWeb, lock
from tests.web.product_models import ProductDetail, ProductOverview

TOKEN = "abcdefghijklmnop-0123"  # noqa: S105 - opens nothing but the test's server
FAUSTS_PAGES = ("/router/", "/table/", "/graph/", "/stats/", "/performance/")


def app(tmp_path: Path, **environ: str) -> DedupApp:
    return build_app(load_settings({"DEDUP_DATA_DIR": str(tmp_path / "state"), **environ}))


@asynccontextmanager
async def serving(built: DedupApp) -> AsyncIterator[TestClient[Request, Application]]:
    """The app's pages on a port of the test's, without a worker."""
    assert isinstance(built.web, LockedWeb)
    built.web.init_server()
    async with TestClient(TestServer(built.web.web_app)) as client:
        yield client


def has_headers(response: ClientResponse) -> bool:
    return HEADERS.items() <= dict(response.headers).items() and "Server" not in response.headers


async def test_only_our_own_pages_exist(tmp_path: Path) -> None:
    built = app(tmp_path)
    async with serving(built) as client:
        assert (await client.get("/metrics")).status == 200
        for path in FAUSTS_PAGES:
            assert (await client.get(path)).status == 404
            assert (await client.get(path.rstrip("/"))).status == 404
        assert not built.web.views  # Faust's own way of adding pages


async def test_every_response_has_the_headers_errors_too(tmp_path: Path) -> None:
    async with serving(app(tmp_path)) as client:
        for method, path, status in (
            ("GET", "/metrics", 200),
            ("GET", "/nothing", 404),
            ("POST", "/metrics", 405),
        ):
            response = await client.request(method, path)
            assert response.status == status
            assert has_headers(response), response.headers


async def test_an_error_page_has_the_headers_and_reveals_nothing() -> None:
    async def fail(_request: Request) -> None:
        raise RuntimeError("inner workings")

    pages = Application()
    lock(pages, None)
    pages.router.add_get("/", fail)  # type: ignore[arg-type]
    async with TestClient(TestServer(pages)) as client:
        response = await client.get("/")
        assert response.status == 500
        assert has_headers(response)
        assert "inner workings" not in await response.text()


async def test_with_a_token_every_page_asks_for_it(tmp_path: Path) -> None:
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        for shown in (TOKEN, f"{TOKEN} "):
            allowed = await client.get("/metrics", headers={"Authorization": f"Bearer {shown}"})
            assert allowed.status == 200
            assert has_headers(allowed)
            assert TOKEN not in await allowed.text()
        lower = await client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})
        assert lower.status == 200  # the scheme's name is the same in any case


async def test_a_browser_shows_the_token_as_a_password(tmp_path: Path) -> None:
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        headers = {"Authorization": encode_basic_auth("anybody", TOKEN)}
        assert (await client.get("/", headers=headers)).status == 200


async def test_probes_need_no_token_and_learn_nothing_else(tmp_path: Path) -> None:
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        assert (await client.get("/livez")).status == 200
        assert (await client.get("/readyz")).status == 503
        for path in ("/livez/", "/readyz/x", "/livez/../metrics", "/x/livez"):
            assert (await client.get(path)).status == 401


async def test_workers_show_each_other_the_token(tmp_path: Path) -> None:
    asked = app(tmp_path / "asked", DEDUP_WEB_TOKEN=TOKEN)
    knows = app(tmp_path / "knows", DEDUP_WEB_TOKEN=TOKEN)
    knows_not = app(tmp_path / "knows_not")
    async with serving(asked) as client:
        url = str(client.make_url("")).rstrip("/")
        overview = await PartitionRouter(knows, knows.settings).ask(
            url, ProductOverview, Ask("/api/overview")
        )
        assert overview.worker == asked.settings.web_url
        with pytest.raises(NoAnswerError) as refused:
            await PartitionRouter(knows_not, knows_not.settings).ask(
                url, ProductOverview, Ask("/api/overview")
            )
        assert f"The worker at {url} rejects this worker's DEDUP_WEB_TOKEN" in str(refused.value)


async def test_a_worker_that_does_not_answer_is_named_with_the_cure(tmp_path: Path) -> None:
    built = app(tmp_path)
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NoAnswerError) as refused:
        await PartitionRouter(built, built.settings).ask(url, ProductDetail, Ask("/api/products/1"))
    assert f"The worker at {url} has not answered since" in str(refused.value)
    assert "set DEDUP_WEB_URL there" in str(refused.value)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Basic {base64.b64encode(TOKEN.encode()).decode()}",  # no user, so no password either
        f"Basic {base64.b64encode(f'{TOKEN}:'.encode()).decode()}",
        f"Basic {base64.b64encode(f'me:{TOKEN[:-1]}'.encode()).decode()}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        "Bearer \u00fc\u00fc\u00fc",
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/api/overview", "/metrics", f"/metrics?token={TOKEN}", "/nothing"]
)
async def test_without_the_right_token_there_is_nothing_to_see(
    tmp_path: Path, header: str | None, path: str
) -> None:
    """Not even whether a page exists; and no token in the address, which logs keep."""
    headers = {} if header is None else {"Authorization": header}
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        response = await client.get(path, headers=headers)
        assert response.status == 401
        schemes = response.headers.getall("WWW-Authenticate")
        assert [scheme.split()[0] for scheme in schemes] == ["Bearer", "Basic"]
        assert has_headers(response)
        assert TOKEN not in await response.text()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_a_loopback_address_needs_no_token(host: str) -> None:
    assert load_settings({"DEDUP_WEB_HOST": host}).DEDUP_WEB_TOKEN is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "worker.example", "localhost."])  # noqa: S104
def test_an_address_others_can_reach_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DEDUP_WEB_HOST": host})
    assert f"DEDUP_WEB_HOST={host} offers the worker's pages to the network" in str(refused.value)
    assert "DEDUP_WEB_TOKEN must be set" in str(refused.value)
    settings = load_settings({"DEDUP_WEB_HOST": host, "DEDUP_WEB_TOKEN": TOKEN})
    assert host == settings.DEDUP_WEB_HOST


@pytest.mark.parametrize("token", ["short", "with spaces in the middle", "zwölf-und-mehr-zeichen"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused_unseen(token: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DEDUP_WEB_TOKEN": token})
    assert "DEDUP_WEB_TOKEN is not accepted: expected at least 16 letters" in str(refused.value)
    assert token not in str(refused.value)


def test_the_token_is_in_no_text_of_the_settings() -> None:
    settings = load_settings({"DEDUP_WEB_TOKEN": TOKEN})
    assert TOKEN not in f"{settings!r} {settings} {settings.model_dump()}"


async def test_faust_s_own_option_does_not_open_what_the_settings_keep_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`faust -A dedup worker --web-bind 0.0.0.0` changes the address behind the settings."""
    built = app(tmp_path)
    failures: list[BaseException] = []
    monkeypatch.setattr(built, "fail", failures.append)
    built.conf.web_bind = "0.0.0.0"  # noqa: S104 - what is refused
    async with built.web:
        assert built.web._thread is None  # type: ignore[attr-defined]
    (failure,) = failures
    assert isinstance(failure, WorkerError)
    assert "--web-bind=0.0.0.0 offers the worker's pages to the network" in str(failure)
