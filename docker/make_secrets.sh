#!/usr/bin/env bash
# The secrets of an installation by docker/compose.yaml, made once and never overwritten. Only the
# owner can enter the folder; the files are readable, because containers read them as other users.
set -euo pipefail
folder=${1:-$(dirname "$0")/secrets}

umask 077
mkdir -p "$folder"
umask 022
mkdir -p "$folder/connectors" "$folder/drop"

random() { od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'; }

keep() { # NAME TEXT
    if [[ ! -e $folder/$1 ]]; then
        printf '%s' "$2" >"$folder/$1.new"
        chmod 444 "$folder/$1.new"
        mv "$folder/$1.new" "$folder/$1"
        echo "made $folder/$1"
    fi
}

keep postgres_password "$(random)"
keep database_url "postgresql://nq42_admin:$(<"$folder/postgres_password")@postgres:5432/nq42"
keep redis_config "requirepass $(random)"
redis_password=$(<"$folder/redis_config")
keep redis_url "redis://:${redis_password#requirepass }@redis:6379/0"
keep bi_password "$(random)"
keep pseudonym_key "$(random)"
echo "Keep a copy of $folder/pseudonym_key in a safe place: with another key the same person gets another pseudonym."
