#!/usr/bin/env bash
# Builds the image without a Docker engine: deploy/build-image.sh [cpu|gpu] [TAG]. Quiet but for the last line.
#
# Environment: BASE, BUILDER and CUDA_BASE are the bases of the Dockerfile (BASE=local: make one by debootstrap, as is
# also done where BASE cannot be pulled); MIRROR and SUITE are Debian's for it; PIP_CONF and CA_BUNDLE are files for an
# index of your own and the certificates that it needs (PIP_CERT is taken where it is set). Neither stays in the image.
#
# Ends with status 77 where this machine cannot build, and says why.
set -euo pipefail

readonly TARGET=${1:-cpu}
readonly TAG=${2:-rbr-service:$TARGET}
readonly DEFAULT_BASE=docker.io/library/python:3.12-slim-bookworm
readonly LOCAL_BASE=localhost/rbr-base LOCAL_BUILDER=localhost/rbr-builder
readonly MIRROR=${MIRROR:-http://deb.debian.org/debian} SUITE=${SUITE:-bookworm}
readonly CA_BUNDLE=${CA_BUNDLE:-${PIP_CERT:-}} PULL_SECONDS=120

cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

main() {
  command -v buildah > /dev/null || skip "buildah is not installed (deploy/install-buildah.sh, or apt-get install buildah)"
  choose_bases
  quietly buildah bud --isolation chroot --network host --format docker --layers \
    --target "$TARGET" --tag "$TAG" \
    --build-arg BASE="$base" --build-arg BUILDER="$builder" ${CUDA_BASE:+--build-arg CUDA_BASE="$CUDA_BASE"} \
    --build-arg VERSION="$(version)" --build-arg REVISION="$(git rev-parse HEAD 2> /dev/null || echo unknown)" \
    ${PIP_CONF:+--secret id=pip,src="$PIP_CONF"} ${CA_BUNDLE:+--secret id=ca,src="$CA_BUNDLE"} .
  echo "$TAG: $(buildah images --format '{{.Size}}' "$TAG")"
}

skip() { echo "skipped: $1" >&2; exit 77; }

quietly() { "$@" > "$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }; }

version() { sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml; }

choose_bases() {
  base=${BASE:-$DEFAULT_BASE}
  if [ "$base" != local ] && timeout "$PULL_SECONDS" buildah pull --quiet "$base" > /dev/null 2> "$scratch/pull"; then
    builder=${BUILDER:-$base}
    return
  fi
  make_local_base
  base=$LOCAL_BASE builder=$LOCAL_BUILDER
}

# Debian's Python, without what packages bring to be read. The builder has pip and venv on top.
make_local_base() {
  if buildah inspect --type image "$LOCAL_BUILDER" > /dev/null 2>&1; then return; fi
  local why="${scratch}/pull"
  [ -s "$why" ] && why="$base cannot be pulled, and a" || why="a"
  command -v debootstrap > /dev/null || skip "$why local base needs debootstrap (deploy/install-buildah.sh)"
  [ "$(id -u)" = 0 ] || skip "$why local base is made by debootstrap, which only root can run"
  quietly debootstrap --variant=minbase --include=ca-certificates,python3 "$SUITE" "$scratch/system" "$MIRROR"
  rm -rf "$scratch"/system/usr/share/{doc,man,info,locale,lintian} "$scratch"/system/var/{cache,log,lib/apt/lists}/* \
    "$scratch"/system/dev/*
  local container
  container=$(buildah from scratch)
  quietly buildah add "$container" "$scratch/system" /
  quietly buildah commit --rm --format docker "$container" "$LOCAL_BASE"
  container=$(buildah from --pull-never "$LOCAL_BASE")
  quietly buildah run --isolation chroot --network host "$container" -- sh -c \
    'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-pip python3-venv'
  quietly buildah commit --rm --format docker "$container" "$LOCAL_BUILDER"
}

main
