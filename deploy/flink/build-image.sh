#!/usr/bin/env bash
# Builds the image of the Flink application: build-image.sh [--dry-run] [TAG]
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
dry_run=""
if [[ ${1:-} == --dry-run ]]; then
  dry_run=yes
  shift
fi
tag="${1:-product-dedup-flink:2.1.1}"

fail() {
  echo "Error: $*" >&2
  exit 1
}

libraries=("$root"/.venv-flink/lib/python3.*/site-packages/pyflink/lib)
for jar in product-partitioner flink-sql-connector-kafka; do
  compgen -G "${libraries[0]}/$jar*.jar" > /dev/null ||
    fail "no $jar jar: run \`make .venv-flink/flink.installed\` in $root first."
done

if [[ -n $dry_run ]]; then
  echo "docker build -t $tag <Dockerfile job.py statements.py flink-deduplication.sql jars/>"
  exit 0
fi
command -v docker > /dev/null || fail "docker is not there: it builds the image."
context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
mkdir "$context/jars"
cp "$here"/{Dockerfile,job.py,statements.py,flink-deduplication.sql} "$context"
cp "${libraries[0]}"/{product-partitioner,flink-sql-connector-kafka}*.jar "$context/jars"
docker build -t "$tag" "$context"
