"""What the benchmark tells a contender's process, by environment variables."""

import os
from pathlib import Path
from typing import Final

SERVERS: Final = os.environ["BENCH_SERVERS"]
SOURCE: Final = os.environ["BENCH_SOURCE"]
OUTPUT: Final = os.environ["BENCH_OUTPUT"]
GROUP: Final = os.environ["BENCH_GROUP"]
GUARANTEE: Final = os.environ.get("BENCH_GUARANTEE", "")
DIRECTORY: Final = Path(os.environ["BENCH_DIRECTORY"])
