#!/bin/sh
# npm run test:node -- 22: the unit and integration tests on that major version of Node, installed from npm.
set -eu

CDPATH='' cd "$(dirname "$0")/.."
major=${1:?'which major version of Node? For example: npm run test:node -- 22'}
shift
sh scripts/install-node.sh "$major"
PATH=$PWD/.node/$major/node_modules/.bin:$PATH
printf 'Node %s\n' "$(node --version)"
exec node node_modules/vitest/vitest.mjs run --project unit --project integration "$@"
