#!/usr/bin/env bash
# The page: npm packages and the Vite build, only when a source file changed since the last one.
source "$(dirname "$0")/lib.sh"

cd "$ROOT/web"
stamp() { find . -path ./node_modules -prune -o -path ./dist -prune -o -path ./e2e -prune -o -path ./.build -prune -o -name '*.go' -o -name '*.md' -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16; }
want="$(stamp)"
[ -f dist/index.html ] && [ "$(cat dist/.stamp 2>/dev/null)" = "$want" ] && exit 0
lock="$(sha256sum package-lock.json | cut -c1-16)"
if [ "$(cat node_modules/.nova-lock 2>/dev/null)" != "$lock" ]; then
	progress "installing the page's npm packages" 0 "$LOGS/npm-ci.log" . -- npm ci --no-audit --no-fund
	echo "$lock" >node_modules/.nova-lock
fi
progress "building the page" 0 "$LOGS/web-build.log" . -- npm run build
echo "$want" >dist/.stamp
