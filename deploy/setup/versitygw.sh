#!/usr/bin/env bash
# versitygw, the S3 server that `nova dev` and the tests run against, built once from its Go module.
source "$(dirname "$0")/lib.sh"

VERSION=v1.8.0
target="$CACHE/versitygw-$VERSION/versitygw"
if [ ! -x "$target" ]; then
	command -v go >/dev/null || die "Go is missing; install Go 1.26 or newer"
	progress "building versitygw $VERSION (about two minutes)" 0 "$LOGS/versitygw.log" . -- \
		env GOBIN="$CACHE/versitygw-$VERSION" GOFLAGS= CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$VERSION"
fi
mkdir -p "$CACHE/bin"
ln -sf "$target" "$CACHE/bin/versitygw"
