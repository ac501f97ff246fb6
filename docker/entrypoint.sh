#!/usr/bin/env bash
# Runs Airflow in the foreground and stops it cleanly. Secrets come from files where a variable
# NAME_FILE is given, so that they stand in no process list and in no image.
set -euo pipefail

for name in NQ42_DATABASE_URL NQ42_PSEUDONYM_KEY NQ42_BI_PASSWORD; do
    file_variable="${name}_FILE"
    if [[ -n "${!file_variable:-}" ]]; then
        export "$name=$(<"${!file_variable}")"
    fi
done

trap 'nq42 down; exit 0' TERM INT
nq42 up
sleep infinity &
wait
