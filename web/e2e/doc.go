// Package e2e drives the page in a real, headless browser.
//
//	go test ──▶ fixture (page + API + sliding live playlists, made of one short clip) ◀──HTTP── chromium ◀── pages.mjs
//
// watch.mjs is the check of a whole running Nova: it takes any base URL and is run by the end-to-end tests of the
// binary. The fixture has no backend: it shows the page what a backend shows, and what a failing one shows.
package e2e
