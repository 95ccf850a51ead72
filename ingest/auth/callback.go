package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of the callback and of its answer.
const (
	// HeaderTimestamp carries the Unix time in seconds at which the request was signed.
	HeaderTimestamp = "X-Nova-Timestamp"
	// HeaderSignature carries "sha256=" and the hexadecimal HMAC-SHA256 of the timestamp, a newline and the body.
	HeaderSignature = "X-Nova-Signature"
	// HeaderStream of the answer names the stream's public identity.
	HeaderStream = "X-Nova-Stream"
	// HeaderTitle of the answer names its title.
	HeaderTitle = "X-Nova-Title"
)

// CallbackConfig tells whom to ask.
type CallbackConfig struct {
	URL     string        `yaml:"url" doc:"address that is asked before a publish (nginx-rtmp's on_publish); empty asks nobody"`
	DoneURL string        `yaml:"done_url" doc:"address that is told of a publish's end (on_publish_done); empty tells nobody"`
	Secret  string        `yaml:"secret" doc:"shared secret that signs the requests; empty leaves them unsigned"`
	Timeout time.Duration `yaml:"timeout" doc:"longest wait for an answer"`
}

// DefaultCallbackConfig asks nobody, for up to three seconds.
func DefaultCallbackConfig() CallbackConfig {
	return CallbackConfig{Timeout: 3 * time.Second}
}

// Validate names the field that is wrong.
func (c CallbackConfig) Validate() error {
	for field, address := range map[string]string{"url": c.URL, "done_url": c.DoneURL} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("%s: must be an http:// or https:// address", field)
		}
	}
	if c.DoneURL != "" && c.URL == "" {
		return errors.New("done_url: needs url")
	}
	if c.Timeout <= 0 || c.Timeout > time.Minute {
		return fmt.Errorf("timeout: %v is not in 0…1m", c.Timeout)
	}
	return nil
}

// Callback asks an HTTP server in the form of nginx-rtmp's on_publish: a POST of a form with call, app, name
// (the key), addr, flashver and tcurl. The answer:
//
//   - 2xx grants. The stream is named by the X-Nova-Stream header, or by "stream" of a JSON body; the title by
//     X-Nova-Title or "title". Where nothing names the stream, it is [PublicID] of the key.
//   - 3xx grants and names the stream by its Location, as nginx-rtmp renames it. An address of another server
//     cannot be followed and is an error.
//   - 401, 403, 404 and other 4xx deny. 408, 429 and 5xx are temporary.
type Callback struct {
	cfg    CallbackConfig
	client *http.Client
}

// NewCallback asks cfg.URL.
func NewCallback(cfg CallbackConfig) (*Callback, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Callback{cfg: cfg, client: &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}}, nil
}

// Close gives idle connections back.
func (c *Callback) Close() { c.client.CloseIdleConnections() }

// AuthorizePublish implements Authorizer.
func (c *Callback) AuthorizePublish(ctx context.Context, req Request) (Grant, error) {
	res, err := c.post(ctx, c.cfg.URL, "publish", req)
	if err != nil {
		return Grant{}, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is of use
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return named(res, req.Key)
	case code >= 300 && code < 400:
		return renamed(res.Header.Get("Location"))
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500, code < 200:
		return Grant{}, fmt.Errorf("callback answered %d", code)
	default:
		return Grant{}, ErrDenied
	}
}

// PublishDone implements Listener.
func (c *Callback) PublishDone(ctx context.Context, req Request, _ Grant) error {
	if c.cfg.DoneURL == "" {
		return nil
	}
	res, err := c.post(ctx, c.cfg.DoneURL, "publish_done", req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		return fmt.Errorf("callback answered %d", res.StatusCode)
	}
	return nil
}

func (c *Callback) post(ctx context.Context, address, call string, req Request) (*http.Response, error) {
	body := url.Values{
		"call": {call}, "app": {req.App}, "name": {req.Key}, "addr": {req.RemoteIP.String()},
		"flashver": {req.Agent}, "tcurl": {req.URL}, "protocol": {req.Protocol},
	}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the callback: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "nova")
	if c.cfg.Secret != "" {
		now := strconv.FormatInt(time.Now().Unix(), 10)
		r.Header.Set(HeaderTimestamp, now)
		r.Header.Set(HeaderSignature, Sign(c.cfg.Secret, now, []byte(body)))
	}
	res, err := c.client.Do(r)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the address, whose query may hold a token
		}
		return nil, fmt.Errorf("cannot ask the callback: %w", err)
	}
	return res, nil
}

// Sign is the value of the signature header, for the server that checks it.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n"))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// maxAnswer is as much of an answer as is read, in bytes.
const maxAnswer = 16 << 10

// named reads the grant from a positive answer.
func named(res *http.Response, key string) (Grant, error) {
	answer := struct{ Stream, Title string }{}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err == nil && kind == "application/json" {
		if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil {
			return Grant{}, errors.New("callback answered JSON that does not decode")
		}
	}
	if s := res.Header.Get(HeaderStream); s != "" {
		answer.Stream = s
	}
	if s := res.Header.Get(HeaderTitle); s != "" {
		answer.Title = s
	}
	if answer.Stream == "" {
		answer.Stream = PublicID(key)
	}
	return check(granted(answer.Stream, answer.Title))
}

// renamed reads the grant from a redirection.
func renamed(location string) (Grant, error) {
	if strings.Contains(location, "://") {
		return Grant{}, errors.New("callback redirected to another server, which is not followed: name a stream")
	}
	return check(granted(strings.TrimPrefix(location, "/"), ""))
}

func check(g Grant, err error) (Grant, error) {
	if err != nil {
		return Grant{}, errors.New("callback named a stream that is not valid")
	}
	return g, nil
}
