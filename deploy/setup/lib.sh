# Shared by the set-up scripts: where things are cached, how progress is shown, how a download is checked.
# Sourced, never run.

set -euo pipefail

CACHE="${NOVA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nova}"
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
LOGS="$CACHE/logs"
JOBS="$(nproc 2>/dev/null || echo 2)"
mkdir -p "$CACHE" "$LOGS"

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
	printf 'setup: cannot go on: %s\n' "$*" >&2
	exit 1
}

# as_root runs a command as root: directly, or through sudo where that is possible without a question
# that nobody is there to answer.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "'$*' needs root and there is no sudo; run it as root, then try again"
	fi
}

# progress LABEL TOTAL LOG PATTERN -- CMD…  runs CMD with its output in LOG and draws one line that
# moves: lines of LOG matching PATTERN against TOTAL, and the seconds so far. TOTAL 0: no percentage.
progress() {
	local label=$1 total=$2 log=$3 pattern=$4
	shift 5
	local start=$SECONDS pid rc done_n pct
	: >"$log"
	"$@" >>"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if [ -t 2 ]; then
			pct=""
			if [ "$total" -gt 0 ]; then
				done_n=$(grep -cE "$pattern" "$log" || true)
				pct=$((done_n * 100 / total))
				[ "$pct" -gt 99 ] && pct=99
				pct=" $pct%"
			fi
			printf '\rsetup: %s …%s (%ds) ' "$label" "$pct" $((SECONDS - start)) >&2
		fi
		sleep 0.5
	done
	rc=0
	wait "$pid" || rc=$?
	[ -t 2 ] && printf '\r\033[K' >&2
	if [ "$rc" != 0 ]; then
		tail -n 25 "$log" >&2
		die "$label failed; the whole log is $log"
	fi
	say "$label: done in $((SECONDS - start)) s"
}

# fetch URL SHA256 FILE downloads once, resumes nothing, and refuses what does not match its checksum.
fetch() {
	local url=$1 sum=$2 file=$3
	if [ -f "$file" ] && echo "$sum  $file" | sha256sum --check --status; then
		return
	fi
	say "fetching ${url##*/}"
	curl --fail --location --silent --show-error --retry 3 --max-time 600 --output "$file.part" "$url" ||
		die "$url is not reachable; set NOVA_DEBIAN_MIRROR to a Debian mirror that is, or put the file at $file"
	echo "$sum  $file.part" | sha256sum --check --status ||
		die "$url does not have the expected SHA-256 $sum"
	mv "$file.part" "$file"
}
