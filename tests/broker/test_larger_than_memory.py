"""States that are larger than the memory of a worker."""

from pathlib import Path

from tests.support.records import event
from tests.support.topics import emissions, judge, produce, read_topic, wait_until_done
from tests.support.wide import peak_mebibytes, text_of
from tests.support.workers import Names, WorkerProcess

PRODUCTS, WIDTH = 3_300, 100_000
MOST_MEBIBYTES = 300


async def test_memory_does_not_grow_with_states_of_long_rows(kafka: str, tmp_path: Path) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "data", names.settings) as worker:
        worker.wait_until_ready()
        for number, end in ((1, PRODUCTS), (2, PRODUCTS // 10)):
            records = (
                (b"%d" % i, event(i, number=number, description=text_of(i, WIDTH)))
                for i in range(1, end + 1)
            )
            await produce(kafka, records, names.source)
        await wait_until_done(kafka, names)
        peak = peak_mebibytes(worker)
        assert worker.terminate() == 0
    output = emissions(await read_topic(kafka, names.states))

    assert output == judge(await read_topic(kafka, names.source)).emitted
    assert len(output) * WIDTH > MOST_MEBIBYTES << 20
    assert peak < MOST_MEBIBYTES, peak
