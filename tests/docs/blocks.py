"""The fenced blocks of README and docs, and how each command in them is tried."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "deploy" / "k8s" / "README.md",
    ROOT / "tests" / "deploy" / "README.md",
    *sorted((ROOT / "examples").rglob("*.md")),
)
LANGUAGES: Final = frozenset({"sh", "console", "text", "sql", "python", "json", "yaml", "csv"})
"""`sh`: commands. `console`: commands after `$ ` with what they print. The others hold none."""


class Block(NamedTuple):
    """A fenced block: its page, the line it begins at, its language and its lines."""

    page: str
    line: int
    language: str
    lines: list[str]

    @property
    def commands(self) -> list[str]:
        """The commands, each on one line, without the comments behind them."""
        if self.language == "console":
            text = "\n".join(line[2:] for line in self.lines if line.startswith("$ "))
        else:
            text = "\n".join(self.lines)
        joined = re.sub(r"\\\n\s*", " ", text)
        without = (re.sub(r"(^|\s+)# .*$", "", line).strip() for line in joined.splitlines())
        return [line for line in without if line]


def blocks() -> Iterator[Block]:
    """Read every fenced block of every page."""
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        found: Block | None = None
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            fence = re.fullmatch(r"\s*```(\w*)", line)
            if fence is None:
                if found is not None:
                    found.lines.append(line.strip() if found.language == "sh" else line)
            elif found is None:
                found = Block(name, number, fence[1], [])
            else:
                yield found
                found = None


SERVES: Final = {
    r"(DEDUP_\w+=\S+ )*faust -A dedup worker": "Worker ready",
    r"product-producer": "Sent event",
    r"dedup sink postgres": "Reading from",
    r"deploy/flink/run-flink-dedup\.sh": "until Ctrl-C",
}
"""Commands that run until Ctrl-C, and what they print once they work."""

ELSEWHERE: Final = {
    r"make test": "it is what runs the tests, CI runs it from a clean clone",
    r"docker .*": "no Docker engine in the tests; `make test-compose` brings its own",
    r"(minikube|kubectl) .*": "no cluster; `make test-deploy` checks what is applied",
    r"TOKEN=\$\(kubectl .*": "no cluster",
    r"dedup dlq (show|replay) \d.*": "the positions are those of the reader's own dead letters",
    r"dedup entity .*\borders(\.py|:ORDER)\b.*": "the topic is the reader's own",
    r"DEDUP_ENTITY=orders:ORDER (faust -A )?dedup worker": "the entity is the reader's own",
    r"dedup parity": "it needs the Flink of a clone; `make parity` runs it",
    r"dedup entity check .*": "it exits with 3, since some of the orders are invalid",
    r"curl -H .*": "the token comes from the cluster",
    r"\.uv/bin/uv tool run pip-audit .*": "asks a database of vulnerabilities outside of PyPI",
    r"CRD_SCHEMAS=\S+ make test-deploy": "needs the operators' published schemas",
    r"deploy/flink/run-flink-dedup\.sh --local --interactive": "a terminal program",
    r"deploy/flink/run-flink-dedup\.sh --kubernetes --dry-run": "no cluster",
}
"""Commands that are not run, and why."""

STANDS_FOR: Final = {
    "broker-1:9092,broker-2:9092": "$BROKERS",
    "broker:9092": "$BROKERS",
    "postgresql://sink@db/shop": "$DSN",
    "PGPASSWORD=...": "PGPASSWORD=none",
}
"""What a reader puts their own value for."""


def matching(patterns: dict[str, str], command: str) -> str | None:
    """Return what a table says of a command; None when it is not in it."""
    found = [said for pattern, said in patterns.items() if re.fullmatch(pattern, command)]
    return found[0] if found else None
