"""Coverage-guided fuzzing of the readers: `make fuzz`, or `python -m tests.fuzz.atheris_read`.

The first byte of the input chooses what the rest is: a record's value with the key that fits, key
and value, a record of `src_products`, its key, or the bytes of a state. Arguments go to libFuzzer,
for example `-runs=1000000 -max_len=4096`; without any, a million inputs are tried. `--result FILE`
before them writes what came of the run. The corpus is in .fuzz/corpus and is kept; findings are
written to the current directory as `crash-*`.
"""

import argparse
import os
import sys
from pathlib import Path
from random import Random
from typing import Final

import atheris

with atheris.instrument_imports(include=["dedup.core", "json"], enable_loader_override=False):
    from dedup.core.dead_letter import DeadLetter, dead_letter_headers
    from dedup.core.decide import Decision, Position, ProcessingTime, decide
    from dedup.core.fingerprint import FINGERPRINT_BYTES
    from dedup.core.normal_event import NormalEvent
    from dedup.core.records import (
        EVENT_TIME_HEADER,
        FINGERPRINT_HEADER,
        SOURCE_HEADER,
        STATE_HEADER,
        output_headers,
    )
    from dedup.core.state import State, UnknownLayoutError, decode_state, encode_state

from tests.core.records import ADDED, PATHS, event_json
from tests.fuzz.hostile import HOSTILE, WHOLE, mutilated
from tests.fuzz.result import run_and_record
from tests.golden.files import golden
from tests.support.products import CODEC, judged_by_pydantic, recognised, rules

CORPUS: Final = Path(".fuzz") / "corpus"
CLOCK: Final = ProcessingTime(1_764_000_000_123_000, "2025-11-24T16:00:00.123000Z")
RULES: Final = (
    rules(),
    rules(order="arrival"),
    rules(unknown_actions="dead_letter"),
)
PLACES: Final = (*PATHS, *ADDED)
LONGEST_SEED: Final = 8192
STATE_BYTES: Final = 46
"""The size of the header of a state."""

DEFAULTS: Final = ("-runs=1000000", "-max_len=4096", "-timeout=2", "-print_final_stats=1")


def _state(value: bytes | None) -> bytes:
    decision = decide(CODEC.read(b"1", value), None, Position(0, 0), CLOCK, rules())
    if decision.state is None:
        raise AssertionError(decision)
    return encode_state(decision.state)


KNOWN: Final = (None, decode_state(_state(event_json())))


def check_readers_agree(key: bytes, value: bytes) -> None:
    """What the fast path takes is what pydantic says."""
    plain = recognised(key, value)
    if plain is not None and plain != judged_by_pydantic(key, value):
        raise AssertionError("the fast path and pydantic disagree")


def check_decision(event: NormalEvent | DeadLetter, decision: Decision) -> None:
    """A dead letter or a state, never both; what was unreadable is never applied."""
    if decision.dead_letter is not None:
        if decision.state is not None:
            raise AssertionError(decision)
        dead_letter_headers(decision.dead_letter, topic="t", partition=0, offset=1)
    elif isinstance(event, DeadLetter):
        raise AssertionError(decision)
    if decision.state is not None:
        check_state(decision.state)
        if decision.state.row is not None and CODEC.read_row(decision.state.row) is None:
            raise AssertionError(decision.state)


def check_state(state: State) -> None:
    """A state can be kept."""
    if decode_state(encode_state(state)) != state:
        raise AssertionError(state)


def fuzz_record(key: bytes | None, value: bytes | None) -> None:
    """A record is an event or a dead letter; what comes of it can be written and read again."""
    event = CODEC.read(key, value)
    if key is not None and value is not None:
        check_readers_agree(key, value)
    for known in KNOWN:
        for each in RULES:
            check_decision(event, decide(event, known, Position(0, 1), CLOCK, each))


def fuzz_output(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    """A record of `src_products` is a state that can be kept, or nothing."""
    timestamp_ms = int.from_bytes(value[-8:], "big", signed=True)
    state = CODEC.state_from_record(value or None, headers, timestamp_ms)
    if state is not None:
        check_state(state)
        output_headers(state)
        decide(CODEC.read(b"1", event_json()), state, Position(0, 0), CLOCK, rules())


def fuzz_state(data: bytes) -> None:
    """Bytes are a state that gives them back, or are refused."""
    try:
        state = decode_state(data)
    except UnknownLayoutError:
        return
    if encode_state(state) != data:
        raise AssertionError(state)


def try_one(data: bytes) -> None:
    """Try one input of libFuzzer."""
    kind, rest = data[:1], data[1:]
    if kind == b"k":
        key, _, value = rest.partition(b"\x00")
        fuzz_record(key, value or None)
    elif kind == b"o":
        names = (EVENT_TIME_HEADER, SOURCE_HEADER, FINGERPRINT_HEADER)
        texts = rest.split(b"\n", 3)
        headers = list(zip(names, texts[:3], strict=False)) if len(texts) > 1 else []
        fuzz_output(texts[-1], headers)
    elif kind == b"h":
        fuzz_output(rest[STATE_BYTES:], [(STATE_HEADER, rest[:STATE_BYTES])])
    elif kind == b"i":
        product_id = CODEC.keys.read_output(rest)
        if product_id is not None and not (isinstance(product_id, int) and 1 <= product_id < 2**63):
            raise AssertionError(product_id)
    elif kind == b"s":
        fuzz_state(rest)
    else:
        fuzz_record(b"1", rest)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change an input: byte by byte as libFuzzer does, or so that it stays nearly an event.

    libFuzzer alone sees nothing of pydantic's compiled code and mostly breaks the JSON.
    """
    random = Random(seed)
    roll = random.random()
    if roll < 0.4:
        changed: bytes = atheris.Mutate(data, max_size)
        return changed
    if roll < 0.7:
        tokens = {
            random.choice(PLACES): random.choice(HOSTILE) for _ in range(random.randint(1, 3))
        }
        return (b"v" + event_json(tokens))[:max_size]
    return (data[:1] + mutilated(random, data[1:], event_json()))[:max_size]


def seeds() -> list[bytes]:
    """Inputs to begin from: golden files, and hostile tokens in every place."""
    found = [b"v" + event_json({p: t}) for p in PATHS + ADDED for t in (None, *HOSTILE)]
    found += [b"v" + value for value in WHOLE]
    for file in golden("events"):
        value = file.bytes("value") or b""
        found.append(b"k" + (file.bytes("key") or b"") + b"\x00" + value)
    own_headers = b"1701426600123456\n0/7\n" + bytes(FINGERPRINT_BYTES).hex().encode() + b"\n"
    for file in golden("records"):
        found += [b"o" + (file.bytes("value") or b""), b"i" + (file.bytes("key") or b"")]
        found.append(b"o" + own_headers + (file.bytes("value") or b""))
        packed = b"".join(text for name, text in file.headers if name == STATE_HEADER)
        if packed:
            found.append(b"h" + packed + (file.bytes("value") or b""))
    found += [b"s" + (file.bytes("bytes") or b"") for file in golden("states")]
    return [seed for seed in found if len(seed) <= LONGEST_SEED]


def main() -> None:
    """Write the seeds and fuzz."""
    # libFuzzer has a -help of its own, and other options that begin with one dash.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--result", type=Path, metavar="FILE", help="write the result there")
    options, given = parser.parse_known_args()
    arguments = given or list(DEFAULTS)
    written = seeds()
    if options.result is not None:
        command = [sys.executable, "-m", "tests.fuzz.atheris_read", *arguments]
        if "-print_final_stats=1" not in arguments:
            command.append("-print_final_stats=1")
        module = "tests.fuzz.atheris_read"
        sys.exit(run_and_record(command, options.result, module, seeds=len(written)))
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(written):
        (CORPUS / f"seed-{number:05d}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *arguments, os.fspath(CORPUS)], try_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
