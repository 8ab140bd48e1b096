#!/bin/sh
# Runs Ferrite on the Node.js that came with it.
home=/usr/lib/ferrite
if [ -z "${NODE_COMPILE_CACHE-}" ] && [ -n "${XDG_CACHE_HOME-}${HOME-}" ]; then
  export NODE_COMPILE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ferrite"
fi
set -- "$home/src/main.ts" "$@"
# As the script of a checkout does: a service gives memory back that it does not use.
case ${2-} in
  serve | dev)
    export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}"
    export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-131072}"
    set -- --min-semi-space-size=8 --max-semi-space-size=8 --initial-old-space-size=64 --heap-growing-percent=60 "$@"
    ;;
  sim) set -- --initial-old-space-size=4096 "$@" ;;
esac
exec "$home/node_modules/node/bin/node" --disable-warning=ExperimentalWarning "$@"
