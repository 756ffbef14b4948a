#!/usr/bin/env bash
# Builds the images product-dedup (worker and sink), product-dedup-producer and product-dedup-flink.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: build-image.sh [worker | producer | flink]...   worker and producer by default

Environment:
  ENGINE        docker or podman; default: the one that is installed
  IMAGE_PREFIX  prefix of the names, such as registry.example.com/shop/
  PYTHON_IMAGE  base image
USAGE
}

fail() {
  echo "Error: $*" >&2
  exit 1
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/dedup/__init__.py")"
targets=()
for argument in "$@"; do
  case "$argument" in
    worker | producer | flink) targets+=("$argument") ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && echo "Error: unknown image $argument" >&2 && exit 2 ;;
  esac
done
((${#targets[@]})) || targets=(worker producer)

engine="${ENGINE:-}"
for candidate in docker podman; do
  [[ -n $engine ]] || ! command -v "$candidate" > /dev/null || engine="$candidate"
done
[[ -n $engine ]] || fail "neither docker nor podman is installed; install one of them."
command -v "$engine" > /dev/null || fail "ENGINE=$engine is not installed; use docker or podman."

images=()
for target in "${targets[@]}"; do
  name=product-dedup
  [[ $target == worker ]] || name+="-$target"
  image="${IMAGE_PREFIX:-}$name"
  recipe=(--file "$root/deploy/docker/Dockerfile" --target "$target")
  [[ $target != flink ]] || recipe=(--file "$root/deploy/docker/flink.Dockerfile")
  "$engine" build "${recipe[@]}" \
    ${PYTHON_IMAGE:+--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"} \
    --label "org.opencontainers.image.version=$version" \
    --tag "$image:$version" --tag "$image:latest" "$root"
  images+=("$image:$version")
done

cat <<HINTS
Built: ${images[*]}

On a local Kubernetes:
$(printf '  minikube image load %s\n' "${images[@]}")
$(printf '  kind load docker-image %s\n' "${images[@]}")
HINTS
