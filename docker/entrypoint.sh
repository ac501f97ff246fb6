#!/usr/bin/env bash
# One container, one part of nq42:
#
#   nq42-entrypoint prepare        database, keys and Airflow's metadata; ends
#   nq42-entrypoint PART           api-server, scheduler, dag-processor, triggerer, worker or drop
#   nq42-entrypoint PART --check   whether that part, in this container, is alive
#   nq42-entrypoint VERB …         any other verb of nq42
#
# A variable NQ42_…_FILE names the file that holds a secret: so it stands in no image, in no
# compose file and in no process list.
set -euo pipefail
umask 077

for variable in "${!NQ42_@}"; do
    if [[ $variable == *_FILE ]]; then
        file=${!variable}
        if [[ ! -r $file || ! -s $file ]]; then
            echo "nq42-entrypoint: $variable: $file is missing, empty or not readable" >&2
            exit 1
        fi
        value=$(<"$file")
        export "${variable%_FILE}=$value"
        unset "$variable"
    fi
done

case "${1:-}" in
    prepare)
        nq42 setup
        exec nq42 airflow prepare
        ;;
    api-server | scheduler | dag-processor | triggerer | worker)
        exec nq42 airflow "$@"
        ;;
    drop)
        shift
        exec nq42 drop --host "${DROP_HOST:-0.0.0.0}" --port "${DROP_PORT:-2222}" "$@"
        ;;
    *)
        exec nq42 "$@"
        ;;
esac
