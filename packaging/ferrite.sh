#!/bin/sh
# Runs Ferrite on the Node.js that came with it.
home=/usr/lib/ferrite
if [ -z "${NODE_COMPILE_CACHE-}" ] && [ -n "${XDG_CACHE_HOME-}${HOME-}" ]; then
  export NODE_COMPILE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ferrite"
fi
exec "$home/node_modules/node/bin/node" --disable-warning=ExperimentalWarning --max-semi-space-size=16 --heap-growing-percent=80 "$home/src/main.ts" "$@"
