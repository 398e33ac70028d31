#!/usr/bin/env bash
# Makes sure that redis-server is on PATH: the tests and benchmarks run a real one. Quiet where it already is.
set -euo pipefail

command -v redis-server > /dev/null && exit 0

run_as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo > /dev/null; then sudo -n "$@"; else return 1; fi; }

install() {
  if command -v apt-get > /dev/null; then
    run_as_root apt-get -qq update && run_as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -qq install --yes --no-install-recommends redis-server
  elif command -v dnf > /dev/null; then run_as_root dnf --quiet --assumeyes install redis
  elif command -v apk > /dev/null; then run_as_root apk add --quiet redis
  elif command -v brew > /dev/null; then brew install --quiet redis
  else return 1
  fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install > "$log" 2>&1 || ! command -v redis-server > /dev/null; then
  cat "$log" >&2
  echo "redis-server is not on PATH and could not be installed; install Redis 6.2 or later, then run make again." >&2
  exit 1
fi
