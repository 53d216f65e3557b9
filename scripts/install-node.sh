#!/bin/sh
# install-node.sh 24: installs that major version of Node from npm as .node/24/node_modules/.bin/node, unless it is there.
set -eu

CDPATH='' cd "$(dirname "$0")/.."
folder=.node/$1
node=$folder/node_modules/.bin/node
if [ -x "$node" ]; then exit; fi

# npm's package `node` is a script that installs one of these; they need none.
package=$(node -p 'var p = process, os = p.platform + "-" + p.arch; (os === "darwin-arm64" ? "node-bin-" : "node-") + os')
printf 'Installing Node %s (npm install %s, under .node) …\n' "$1" "$package"
if ! npm install --prefix "$folder" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error "$package@$1" >/dev/null ||
  ! "$node" --version >/dev/null; then
  rm -rf "$folder"
  printf 'Node %s could not be installed from npm. Check the connection to its registry (npm ping), or install Node
yourself: https://nodejs.org\n' "$1" >&2
  exit 1
fi
