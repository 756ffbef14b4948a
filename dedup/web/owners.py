"""Which worker owns a product, and asking it: so that every worker shows every product.

The owner is found as the producer found the partition: Kafka's hash of the product_id's text, the
key on the source topic. Who has a partition is what Faust's assignor told every worker of the
group, with the address each is reached at (`DEDUP_WEB_URL`).
"""

from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, hdrs
from aiohttp.web import HTTPMisdirectedRequest, HTTPNotFound, HTTPServiceUnavailable

from dedup.partitioning import partition_of_product
from dedup.settings import Settings
from dedup.streaming.application import DedupApp

ANSWER_WITHIN_S: Final = 5.0


class Owners:
    """The workers of the group, by the partitions they own."""

    def __init__(self, app: DedupApp, settings: Settings) -> None:
        self._app = app
        self._changelog = settings.KAFKA_SRC_PRODUCTS_TOPIC
        token = settings.DEDUP_WEB_TOKEN
        self._headers = (
            {} if token is None else {hdrs.AUTHORIZATION: f"Bearer {token.get_secret_value()}"}
        )

    @property
    def this(self) -> str:
        """The address of this worker's pages."""
        return str(self._app.conf.canonical_url).rstrip("/")

    def partition_of(self, product_id: int) -> int:
        """Give the partition of a product. Raises HTTPServiceUnavailable before it is known."""
        partitions = self._app.partitions
        if not partitions:
            raise HTTPServiceUnavailable(text="The worker is starting.")
        return partition_of_product(product_id, partitions)

    def workers(self) -> dict[str, list[int]]:
        """Give the partitions of each worker of the group, by its address."""
        return {
            str(url).rstrip("/"): sorted(topics.get(self._changelog, ()))
            for url, topics in self._app.assignor.tables_metadata().items()
        }

    def url_of(self, partition: int) -> str:
        """Give the address of the partition's owner. Raises HTTPServiceUnavailable if none is."""
        for url, partitions in self.workers().items():
            if partition in partitions:
                return url
        raise HTTPServiceUnavailable(
            text=f"No worker owns partition {partition} now: the group is rebalancing."
        )

    async def ask(self, url: str, path: str, body: bytes | None = None, **query: str) -> Any:
        """Get the JSON of another worker's own page. Raises HTTPServiceUnavailable without one."""
        method = hdrs.METH_GET if body is None else hdrs.METH_POST
        timeout = ClientTimeout(total=ANSWER_WITHIN_S)
        try:
            async with (
                ClientSession(timeout=timeout, headers=self._headers) as session,
                session.request(
                    method,
                    f"{url}{path}",
                    data=body,
                    params={**query, "local": "1"},
                    allow_redirects=False,
                ) as response,
            ):
                if response.status == HTTPMisdirectedRequest.status_code:
                    raise HTTPServiceUnavailable(text="The partition is changing hands. Try again.")
                if response.status != HTTPNotFound.status_code:  # a product that is not known
                    response.raise_for_status()
                return await response.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise HTTPServiceUnavailable(
                text=f"The worker at {url} owns this product and does not answer ({error!r}). It "
                "must be reachable from here at that address: set DEDUP_WEB_URL there."
            ) from error
