#!/usr/bin/env bash
# Debian packages. packages.sh run | test: "test" adds the browser.
source "$(dirname "$0")/lib.sh"

WANT=(ca-certificates curl xz-utils gcc g++ make pkg-config)
have_node() { command -v node >/dev/null && command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]; }
have_node || WANT+=(nodejs npm)
[ "${1:-run}" = test ] && WANT+=(chromium fonts-dejavu-core)

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	missing=()
	for program in curl xz gcc make pkg-config node npm; do
		command -v "$program" >/dev/null || missing+=("$program")
	done
	[ ${#missing[@]} = 0 ] || die "this system has no apt-get; install by hand: ${missing[*]}"
	exit 0
fi

# FFmpeg: the system's libraries where they are 7.1, else what the build from source needs.
if [ ! -f "$CACHE/ffmpeg.mk" ]; then
	if apt-cache policy libavcodec-dev 2>/dev/null | grep -qE 'Candidate: 7:7\.1'; then
		WANT+=(ffmpeg libavcodec-dev libavdevice-dev libavfilter-dev libavformat-dev libavutil-dev libpostproc-dev libswresample-dev libswscale-dev)
	else
		WANT+=(nasm clang)
	fi
fi
WANT+=(libx264-dev libopus-dev zlib1g-dev)

missing=()
for package in "${WANT[@]}"; do
	installed "$package" || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
progress "refreshing the package list" 0 "$LOGS/apt-update.log" . -- as_root apt-get update
progress "installing ${missing[*]}" 0 "$LOGS/apt-install.log" . -- \
	as_root apt-get install -y --no-install-recommends "${missing[@]}"
