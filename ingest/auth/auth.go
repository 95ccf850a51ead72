// Package auth answers who may publish: it turns a stream key into the public identity of a stream.
//
//	request ──▶ [Throttle: failures per address] ──▶ [Chain] ──▶ File      (hashed keys)
//	                                                    └──────▶ Callback  (HTTP, signed)
//
// A stream key is a secret. Nothing here logs it, keeps it longer than a call, or puts it into an error, and the
// public identity never shows it.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// ErrDenied tells that the key may not publish. Any other error of an Authorizer is temporary: nobody knows.
var ErrDenied = errors.New("stream key is not accepted")

// Request is one attempt to publish.
type Request struct {
	// Key is the stream key, without the query that some encoders append.
	Key string
	// App is RTMP's application, such as "live"; empty for other protocols.
	App string
	// Protocol is "rtmp", "rtmps", "whip" or "rtsp".
	Protocol string
	// RemoteIP is the publisher's address.
	RemoteIP netip.Addr
	// Agent is the encoder's name as it gives it; may be empty.
	Agent string
	// URL is the address that the encoder connected to, without the key; may be empty.
	URL string
}

// Grant is what a key gives.
type Grant struct {
	// Stream is the stream's public identity (playback id).
	Stream string
	// Title is what the page shows; may be empty.
	Title string

	// by is who granted, where a Chain asked several and it wants to hear of the end.
	by Listener
}

// Authorizer decides who may publish. Implementations are safe for concurrent use and return by ctx's deadline.
type Authorizer interface {
	// AuthorizePublish returns the grant of the request's key, ErrDenied where it has none, or another error
	// where that cannot be told now.
	AuthorizePublish(ctx context.Context, req Request) (Grant, error)
}

// Listener is an Authorizer that wants to hear of the end of what it granted.
type Listener interface {
	// PublishDone tells that a granted publish ended.
	PublishDone(ctx context.Context, req Request, grant Grant) error
}

// Done tells a of the end of a publish, where a wants to know.
func Done(ctx context.Context, a Authorizer, req Request, grant Grant) error {
	if l, ok := a.(Listener); ok {
		return l.PublishDone(ctx, req, grant)
	}
	return nil
}

// HashKey is the form in which keys are stored: hexadecimal SHA-256. Keys are random and long, so that a slow
// hash would protect nothing that this one does not.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// PublicID is a stable public identity for a key that was given none. It cannot be turned back.
func PublicID(key string) string {
	sum := sha256.Sum256([]byte("nova public stream id\n" + key))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
}

var streamID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// CheckStream tells what is wrong with a public identity: it becomes part of URLs and object names.
func CheckStream(id string) error {
	if !streamID.MatchString(id) {
		return fmt.Errorf("stream id %q must be 1 to 64 letters, digits, '-' and '_', and begin with a letter or digit", id)
	}
	return nil
}

// maxTitle is the longest title in bytes; longer ones are cut.
const maxTitle = 200

// granted checks what a backend answered.
func granted(stream, title string) (Grant, error) {
	if err := CheckStream(stream); err != nil {
		return Grant{}, err
	}
	title = strings.ToValidUTF8(title[:min(len(title), maxTitle)], "")
	return Grant{Stream: stream, Title: title}, nil
}

// Chain asks several authorizers in turn: the first grant holds. Where none grants, one that could not tell
// makes the answer temporary.
type Chain []Authorizer

// AuthorizePublish implements Authorizer.
func (c Chain) AuthorizePublish(ctx context.Context, req Request) (Grant, error) {
	result := ErrDenied
	for _, a := range c {
		grant, err := a.AuthorizePublish(ctx, req)
		if err == nil {
			grant.by, _ = a.(Listener)
			return grant, nil
		}
		if !errors.Is(err, ErrDenied) {
			result = err
		}
	}
	return Grant{}, result
}

// PublishDone implements Listener. Only the authorizer that granted hears of the end: a key that it never saw is none
// of another one's business.
func (c Chain) PublishDone(ctx context.Context, req Request, grant Grant) error {
	if grant.by == nil {
		return nil
	}
	return grant.by.PublishDone(ctx, req, grant)
}
