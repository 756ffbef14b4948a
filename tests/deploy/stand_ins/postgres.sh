#!/bin/bash
# Starts PostgreSQL as the image postgres does: a new data directory gets POSTGRES_USER and its
# password, and POSTGRES_DB.
set -euo pipefail
data=/var/lib/postgresql/data
if [[ ! -e $data/PG_VERSION ]]; then
  initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile <(echo "$POSTGRES_PASSWORD") \
    --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --no-sync
  echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$data" postgres
fi
exec postgres -D "$data" -c listen_addresses='*'
