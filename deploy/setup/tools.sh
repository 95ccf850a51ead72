#!/usr/bin/env bash
# The tools of `make check`, each built once from its Go module into the cache, by version.
source "$(dirname "$0")/lib.sh"

TOOLS=(
	github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	github.com/bufbuild/buf/cmd/buf@v1.75.0
	google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
	connectrpc.com/connect/cmd/protoc-gen-connect-go@v1.21.1
)
mkdir -p "$CACHE/bin"
for tool in "${TOOLS[@]}"; do
	name="$(basename "${tool%@*}")"
	target="$CACHE/$name-${tool##*@}/$name"
	if [ ! -x "$target" ]; then
		progress "building $name ${tool##*@}" 0 "$LOGS/$name.log" . -- \
			env GOBIN="$CACHE/$name-${tool##*@}" GOFLAGS= CGO_ENABLED=0 go install "$tool"
	fi
	ln -sf "$target" "$CACHE/bin/$name"
done
