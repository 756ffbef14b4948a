#!/usr/bin/env bash
# Makes stand-ins for the base images of docker-compose.yml and deploy/docker/Dockerfile, under
# their names, for a machine that reaches Debian's packages and no container registry.
#
#     make.sh DIRECTORY PYTHON     as root; DOCKER_HOST names the engine
#
# One Debian system with everything in it (debootstrap, `docker import`), and an image each that
# starts another part of it. Kafka's jars and JRE are those of the embedded broker; PYTHON has them.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
directory="$1" python="$2"
system="$directory/system" context="$directory/context"
mkdir -p "$system" "$context"

# It mounts /proc in the system: in a namespace of its own that ends with it, however it ends.
unshare --mount debootstrap --variant=minbase \
  --include=ca-certificates,python3,python3-venv,wget bookworm "$system" \
  "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
printf '#!/bin/sh\nexit 101\n' > "$system/usr/sbin/policy-rc.d" # installing starts nothing
chmod +x "$system/usr/sbin/policy-rc.d"
mkdir -p "$system/etc/postgresql-common"
echo "create_main_cluster = false" > "$system/etc/postgresql-common/createcluster.conf"
DEBIAN_FRONTEND=noninteractive chroot "$system" apt-get install --quiet --quiet --yes \
  --no-install-recommends libpython3-dev postgresql prometheus # Python's headers: an image has them
chroot "$system" apt-get clean
ln -s /usr/bin/python3 "$system/usr/local/bin/python"
ln -s "$(chroot "$system" sh -c 'echo /usr/lib/postgresql/*/bin')"/{initdb,postgres,pg_isready,psql} \
  "$system/usr/local/bin/"
# What this machine trusts, which may be more than Debian does.
cp /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs/ca-certificates.crt"

tar --directory "$system" --numeric-owner --create . | docker import \
  --change "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt" - stand-in/system
rm -r "$system"

"$python" - "$context" << 'PYTHON'
import shutil, sys
from pathlib import Path
from dedup.localkafka.jars import fetch_jars, java_path
context = Path(sys.argv[1])
shutil.copytree(java_path().parents[1], context / "jre", symlinks=True)
(context / "jars").mkdir()
for jar in fetch_jars():
    shutil.copy(jar, context / "jars")
PYTHON
cp "$here"/{kafka,postgres,grafana}.* "$context"

stand_in() { # TARGET NAME...
  docker build --quiet --file "$here/Dockerfile" --target "$1" --tag "$2" "$context"
}
root="$here/../../.."
named() { sed -n "s|^ *image: \($1:.*\)|\1|p" "$root/docker-compose.yml"; }
stand_in python "$(sed -n 's/^ARG PYTHON_IMAGE=//p' "$root/deploy/docker/Dockerfile")"
stand_in kafka "$(named apache/kafka)"
stand_in postgres "$(named postgres)"
stand_in prometheus "$(named prom/prometheus)"
stand_in grafana "$(named grafana/grafana)"
