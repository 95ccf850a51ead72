#!/usr/bin/env bash
# Everything that Nova needs on this machine, in order. Called by `make run` and `make test`; what is there
# already is left alone, so that a second run takes well under a second.
#
#   setup.sh run    what the program needs        setup.sh test    and what its tests need
source "$(dirname "$0")/lib.sh"

command -v go >/dev/null || die "Go is missing; install Go 1.26 or newer (https://go.dev/doc/install)"
here="$(dirname "$0")"
"$here/packages.sh" "${1:-run}"
"$here/ffmpeg.sh"
"$here/clip.sh"
"$here/versitygw.sh"
"$here/web.sh"
