#!/usr/bin/env bash
# Makes sure that a Chromium is on PATH: the tests of the report open it in a real browser. Quiet where there is one.
set -euo pipefail
source "$(dirname "$0")/packages.sh"

found() { on_path chromium || on_path chromium-browser || on_path google-chrome; }
found && exit 0
install() { install_packages chromium && found; }
or_explain "Chromium is not on PATH and could not be installed; install it to run the tests that open pages in a browser." install
