"""What can be said of the Flink reference without running Flink. The rest is `make parity`."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from dedup.cli import cli
from dedup.parity import engine
from dedup.parity.reference import sql_of
from dedup.settings import load_settings
from deploy.flink.statements import LATEST, SQL, SettingError, emitted_from, script, split
from tests.parity import orders
from tests.parity.changed_rules import ORDER_RULES, PRODUCT_RULES, changed_sql
from tests.parity.products import make_events

RUN = SQL.with_name("run-flink-dedup.sh")
KUBECTL = """#!/bin/sh
if [ "$1" = get ]; then printf flink-0; else cat > "$SEEN" ; echo "$@" >> "$SEEN.calls"; fi
"""


@pytest.mark.parametrize(
    "name",
    [
        "TABLE product_events_raw",
        "VIEW product_events_flattened",
        "VIEW product_events_deduplicated",
        "TABLE src_products",
        "VIEW deduplication_stats",
        "VIEW current_product_state",
    ],
)
def test_every_name_of_the_seed_is_in_the_sql(name: str) -> None:
    statements = split(SQL.read_text("utf-8"))
    assert sum(s.startswith((f"CREATE {name} ", f"CREATE {name}\n")) for s in statements) == 1


def test_semicolons_in_quotes_and_comments_end_no_statement() -> None:
    assert split("-- a; b\nSELECT ';', `;` -- c;\n; SELECT 'it''s';\n") == [
        "SELECT ';', `;`",
        "SELECT 'it''s'",
    ]


def test_settings_come_after_the_tables_and_before_the_insert() -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
        "KAFKA_PRODUCT_TOPIC": "it's",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_USER": "me",
        "KAFKA_PASSWORD": 'a"b',
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "KAFKA_CERT": "/ca.pem",
    }
    statements = script(SQL.read_text("utf-8"), environ, LATEST)
    kinds = [s.split()[0] for s in statements]
    assert kinds[-4:] == ["ALTER", "ALTER", "ALTER", "INSERT"]
    source = statements[-4]
    assert "'topic' = 'it''s'" in source
    assert "'scan.bounded.mode' = 'latest-offset'" in source
    assert "'properties.bootstrap.servers' = 'broker:9092'" in source
    assert 'ScramLoginModule required username="me" password="a\\"b";' in source
    assert "'properties.ssl.truststore.location' = '/ca.pem'" in source


@pytest.mark.parametrize(
    "environ",
    [{"KAFKA_SECURITY_PROTOCOL": "TLS"}, {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}],
)
def test_a_wrong_setting_is_named(environ: Mapping[str, str]) -> None:
    with pytest.raises(SettingError, match="KAFKA_"):
        script(SQL.read_text("utf-8"), environ)


def test_what_was_emitted_before_is_left_out() -> None:
    assert emitted_from("partition:0,offset:4;partition:1,offset:0") == (
        "NOT ((source_partition = 0 AND source_offset < 4)"
        " OR (source_partition = 1 AND source_offset < 0))"
    )
    with pytest.raises(SettingError, match="0:4"):
        emitted_from("0:4")


@pytest.mark.parametrize("name", PRODUCT_RULES)
def test_every_changed_rule_of_products_is_in_the_sql(name: str) -> None:
    sql = SQL.read_text("utf-8")
    assert changed_sql(sql, PRODUCT_RULES, name) != sql


@pytest.mark.parametrize("name", ORDER_RULES)
def test_every_changed_rule_of_orders_is_in_the_sql(name: str) -> None:
    sql = sql_of(load_settings({"DEDUP_ENTITY": orders.SETTING}))
    assert changed_sql(sql, ORDER_RULES, name) != sql


def test_walks_are_the_same_for_the_same_seed_and_keep_their_order() -> None:
    assert make_events(3, 20, 100).events == make_events(3, 20, 100).events
    assert make_events(3, 20, 100).events != make_events(4, 20, 100).events


def _run(tmp_path: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/bash", str(RUN), *options],
        env={"PATH": path, "TMPDIR": str(tmp_path), "SEEN": str(tmp_path / "seen")} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def _with_kubectl(directory: Path, kubectl: str = KUBECTL) -> None:
    (directory / "kubectl").write_text(kubectl)
    (directory / "kubectl").chmod(0o755)


def test_on_kubernetes_the_sql_with_its_settings_goes_into_the_pod(tmp_path: Path) -> None:
    _with_kubectl(tmp_path)
    done = _run(tmp_path, "--kubernetes", KAFKA_BOOTSTRAP_SERVERS="kafka:9092")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "seen.calls").read_text().splitlines()
    assert "exec -i -n confluent flink-0" in calls[0]
    assert "/opt/flink/bin/sql-client.sh -f /tmp/flink-deduplication.sql" in calls[1]


def test_a_dry_run_on_kubernetes_says_what_it_would_do(tmp_path: Path) -> None:
    _with_kubectl(tmp_path)
    done = _run(tmp_path, "--kubernetes", "--dry-run", FLINK_NAMESPACE="flink")
    assert "exec -i -n flink flink-0 -- sh -c" in done.stdout
    assert "sql-client.sh -f" in done.stdout
    assert not (tmp_path / "seen").exists()


def test_the_script_of_another_entity_goes_into_the_pod(tmp_path: Path) -> None:
    _with_kubectl(tmp_path, KUBECTL.replace("cat >", "cat >>"))
    script_of_orders = tmp_path / "orders.sql"
    script_of_orders.write_text(sql_of(load_settings({"DEDUP_ENTITY": orders.SETTING})))
    done = _run(tmp_path, "--kubernetes", f"--sql={script_of_orders}", KAFKA_PRODUCT_TOPIC="o")
    assert done.returncode == 0, done.stderr
    sent = (tmp_path / "seen").read_text()
    assert "ALTER TABLE order_events_raw SET ('topic' = 'o'" in sent
    assert "product_events" not in sent


def test_without_a_pod_the_cure_is_named(tmp_path: Path) -> None:
    _with_kubectl(tmp_path, "#!/bin/sh\nexit 1\n")
    done = _run(tmp_path, "--kubernetes")
    assert done.returncode == 1
    assert "FLINK_NAMESPACE" in done.stderr


def test_a_failed_statement_fails_the_script_though_the_client_exits_with_0(tmp_path: Path) -> None:
    client = tmp_path / "bin" / "sql-client.sh"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\necho '[ERROR] Could not execute SQL statement.'\n")
    client.chmod(0o755)
    done = _run(tmp_path, "--local", FLINK_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "a statement failed" in done.stderr


@pytest.mark.parametrize("option", ["--nothing", "-x"])
def test_an_unknown_option_is_wrong_usage(tmp_path: Path, option: str) -> None:
    done = _run(tmp_path, option)
    assert done.returncode == 2
    assert option in done.stderr


def test_a_walk_has_what_tells_rules_apart() -> None:
    events = make_events(1, 200, 0).events
    assert len(set(events)) < len(events), "nothing is redelivered"
    assert any(key is None for key, _ in events)
    assert any(b'"deleted"' in (value or b"") for _, value in events)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "No broker answers at 127.0.0.1:1"),
        ({"DEDUP_PARTITION": "4"}, "DEDUP_PARTITION is not a setting"),
    ],
)
def test_the_command_explains_what_is_wrong(environ: Mapping[str, str], named: str) -> None:
    done = CliRunner(env=environ).invoke(cli, ["parity"])
    assert done.exit_code == 1
    assert named in done.stderr


def test_without_pyflink_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PYTHON", tmp_path / "python")
    with pytest.raises(engine.FlinkError, match=r"make \.venv-flink/flink\.installed"):
        engine.run_flink({})
