"""Is the log of a healthy worker quiet? An hour of events, and not one WARNING.

`python -m benchmarks.quiet_hour` starts an embedded broker, `product-producer` and one worker, each
its own process, and ends them gracefully. Exit 1 if the worker logged a WARNING, an ERROR or a
traceback, did not finish or did not end with 0. Written to benchmarks/results as JSON.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.soak_report import RESULTS
from dedup.localkafka import OPTIMISED, LocalKafka
from tests.support.results import environment
from tests.support.topics import end_of, wait_until_done
from tests.support.workers import Names, WorkerProcess

_LOUD: Final = re.compile(r" (WARNING|ERROR|CRITICAL) (.*)|(Traceback .*)")
_NUMBERS: Final = re.compile(r"\d+")
_FIRST: Final = 20


def loud_lines(log: str) -> Counter[str]:
    """Count the lines that ask for somebody's eyes, without their numbers."""
    found = filter(None, map(_LOUD.search, log.splitlines()))
    return Counter(_NUMBERS.sub("N", match[0].strip()) for match in found)


async def run(seconds: float, rate: int) -> dict[str, Any]:
    """Run producer and worker for so long; return what the worker logged and used."""
    names = Names.fresh()
    with (
        tempfile.TemporaryDirectory(prefix="quiet-hour-") as directory,
        LocalKafka(properties={"log.retention.bytes": "-1"}, jvm_options=OPTIMISED) as kafka,
        WorkerProcess(kafka.bootstrap_servers, Path(directory) / "state", names.settings) as worker,
    ):
        servers = kafka.bootstrap_servers
        worker.wait_until_ready()
        process = psutil.Process(worker.process.pid)
        before, begun = process.cpu_times(), time.monotonic()
        await _produce(servers, names, seconds, rate)
        await wait_until_done(servers, names)
        took, after = time.monotonic() - begun, process.cpu_times()
        events = await end_of(servers, names.source)
        code = worker.terminate()
        log = worker.log()
    cpu_s = after.user + after.system - before.user - before.system
    loud = loud_lines(log)
    return {
        "events": events,
        "seconds": round(took, 1),
        "worker_cpu_percent_of_a_core": round(100 * cpu_s / took, 1),
        "log_bytes": len(log.encode()),
        "log_lines": len(log.splitlines()),
        "exit_code": code,
        "warnings_and_errors": loud.total(),
        "such_as": dict(loud.most_common(_FIRST)),
    }


async def _produce(servers: str, names: Names, seconds: float, rate: int) -> None:
    """Run `product-producer` for so long; raise CalledProcessError when it fails."""
    command = [sys.executable, "-m", "producer", "--quiet", "--rate", str(rate)]
    command += ["--products", "5000", "--seed", "1", "--late", "0.01", "--partial", "0.05"]
    environ = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_PRODUCT_TOPIC": names.source,
    }
    with subprocess.Popen(  # noqa: ASYNC220, S603 - nothing else runs here; the command is ours
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as producer:
        try:
            await asyncio.sleep(seconds)
        finally:
            producer.send_signal(signal.SIGTERM)
        if (code := producer.wait()) != 0:
            raise subprocess.CalledProcessError(code, command)


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the result and exit with 1 if the log was not quiet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quiet_hour", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--name", help="of the result file; quiet-hour-<date> unless told")
    arguments = parser.parse_args(argv)
    found = asyncio.run(run(arguments.seconds, arguments.rate))
    summary = {
        "what": "the log of one healthy worker",
        "command": " ".join(["python -m benchmarks.quiet_hour", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment("broker and producer of this run"),
        **found,
    }
    RESULTS.mkdir(exist_ok=True)
    name = arguments.name or f"quiet-hour-{datetime.now(UTC).date().isoformat()}"
    (RESULTS / f"{name}.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2), flush=True)  # noqa: T201 - this is the output
    sys.exit(bool(found["warnings_and_errors"] or found["exit_code"]))


if __name__ == "__main__":
    main()
