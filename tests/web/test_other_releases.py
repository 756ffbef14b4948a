"""While a group is updated its workers run different releases, and show each other's answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from dedup.localkafka.ports import free_port
from dedup.settings import load_settings
from dedup.streaming.wiring import build_app
from dedup.web.models import ApiModel
from dedup.web.partition_router import Ask, NoAnswerError, PartitionRouter
from tests.support.topic_facts import topic_facts
from tests.web.product_models import ProductDetail, ProductOverview

EARLIER: Final = Path(__file__).parents[1] / "golden" / "answers"
"""What a worker answered before there were strategies."""


def earlier(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EARLIER / f"{name}.json").read_text())
    return found


@pytest.fixture
async def answers() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The address of a server, and what it answers."""
    served: dict[str, Any] = {}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(served)

    app, port = web.Application(), free_port()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}", served
    await runner.cleanup()


@pytest.fixture
def router(tmp_path: Path) -> PartitionRouter:
    app = build_app(load_settings({"DEDUP_DATA_DIR": str(tmp_path / "state")}))
    app.assemble(topic_facts(partitions=4))
    return PartitionRouter(app, app.settings)


@pytest.mark.parametrize(
    ("model", "name"), [(ProductDetail, "product"), (ProductOverview, "overview")]
)
async def test_an_answer_of_an_earlier_release_is_read_and_one_of_a_later(
    model: type[ApiModel],
    name: str,
    router: PartitionRouter,
    answers: tuple[str, dict[str, Any]],
) -> None:
    """What the earlier one could not say has a default; what the later one adds is ignored."""
    (url, served), answer = answers, earlier(name)
    served |= answer
    read = await router.ask(url, model, Ask("/"))
    said = read.model_dump(by_alias=True)
    assert {name: said[name] for name in answer} == answer
    added = {name: said[name] for name in said.keys() - answer.keys()}
    assert not any(added.values())
    served |= {"later": {"more": 1}}
    for each in served.get("partitions", ()):
        each["later"] = 1
    assert await router.ask(url, model, Ask("/")) == read


async def test_an_answer_without_what_every_release_said_is_none(
    router: PartitionRouter, answers: tuple[str, dict[str, Any]]
) -> None:
    url, served = answers
    served |= {name: value for name, value in earlier("product").items() if name != "known"}
    with pytest.raises(NoAnswerError, match="this version can't read"):
        await router.ask(url, ProductDetail, Ask("/"))
