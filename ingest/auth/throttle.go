package auth

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// ErrThrottled tells that an address failed too often and has to wait. It was not asked whether the key is good.
var ErrThrottled = errors.New("too many refused attempts from this address")

// ThrottleConfig bounds how fast keys can be tried.
type ThrottleConfig struct {
	Burst     int           `yaml:"burst" doc:"refused attempts of one address that are answered at once"`
	Refill    time.Duration `yaml:"refill" doc:"time in which an address earns one more attempt"`
	Wait      time.Duration `yaml:"wait" doc:"first waiting time once the attempts are used up; doubles with each further failure"`
	MaxWait   time.Duration `yaml:"max_wait" doc:"longest waiting time"`
	Addresses int           `yaml:"addresses" doc:"addresses that are remembered; the ones that failed longest ago are forgotten first"`
}

// DefaultThrottleConfig lets a person mistype a key a few times. A machine that keeps trying gets some 300 keys a day,
// one that knows these figures 1,440.
func DefaultThrottleConfig() ThrottleConfig {
	return ThrottleConfig{Burst: 5, Refill: time.Minute, Wait: 2 * time.Second, MaxWait: 5 * time.Minute, Addresses: 10_000}
}

// Validate names the field that is wrong.
func (c ThrottleConfig) Validate() error {
	switch {
	case c.Burst < 1:
		return fmt.Errorf("burst: %d is under 1", c.Burst)
	case c.Refill <= 0:
		return fmt.Errorf("refill: %v is not positive", c.Refill)
	case c.Wait <= 0:
		return fmt.Errorf("wait: %v is not positive", c.Wait)
	case c.MaxWait < c.Wait:
		return fmt.Errorf("max_wait: %v is under wait, %v", c.MaxWait, c.Wait)
	case c.Addresses < 1:
		return fmt.Errorf("addresses: %d is under 1", c.Addresses)
	}
	return nil
}

// Throttle slows down addresses whose attempts are denied. Attempts that succeed, or that could not be judged,
// cost nothing, so a broken backend does not lock publishers out.
type Throttle struct {
	// set by NewThrottle
	cfg  ThrottleConfig
	next Authorizer

	// guarded by mu
	mu struct {
		sync.Mutex
		failures map[netip.Prefix]*list.Element
		order    *list.List // of *failure, the latest at the front
	}
}

// failure is what is remembered of one address.
type failure struct {
	network netip.Prefix
	tokens  float64
	counted time.Time // when tokens was right; ahead while the address has to wait
	waits   int
	until   time.Time
}

// NewThrottle guards next.
func NewThrottle(cfg ThrottleConfig, next Authorizer) (*Throttle, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Throttle{cfg: cfg, next: next}
	t.mu.failures = map[netip.Prefix]*list.Element{}
	t.mu.order = list.New()
	return t, nil
}

// AuthorizePublish implements Authorizer. It returns ErrThrottled for an address that has to wait.
func (t *Throttle) AuthorizePublish(ctx context.Context, req Request) (Grant, error) {
	network := Network(req.RemoteIP)
	if t.blocked(network) {
		return Grant{}, ErrThrottled
	}
	grant, err := t.next.AuthorizePublish(ctx, req)
	if errors.Is(err, ErrDenied) {
		t.failed(network)
	}
	return grant, err
}

// PublishDone implements Listener.
func (t *Throttle) PublishDone(ctx context.Context, req Request, grant Grant) error {
	return Done(ctx, t.next, req, grant)
}

// Network is what limits per address count: an IPv4 address, or the /64 of an IPv6 address, which one host has
// to itself.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // an address that is not known: all of them count as one
	}
	return p
}

func (t *Throttle) blocked(network netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.mu.failures[network]
	return e != nil && time.Now().Before(e.Value.(*failure).until)
}

// failed takes an attempt from the address, and lets it wait once it has none left.
func (t *Throttle) failed(network netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, now := t.entry(network), time.Now()
	earned := float64(now.Sub(f.counted)) / float64(t.cfg.Refill)
	if f.tokens, f.counted = min(f.tokens+max(earned, 0), float64(t.cfg.Burst)), now; f.tokens == float64(t.cfg.Burst) {
		f.waits = 0
	}
	if f.tokens--; f.tokens >= 0 {
		return
	}
	f.tokens = 0
	wait := t.cfg.MaxWait
	if f.waits < 30 && t.cfg.Wait<<f.waits < wait {
		wait = t.cfg.Wait << f.waits
	}
	f.waits++
	f.until = now.Add(wait)
	f.counted = f.until // waiting earns nothing, or long waits would pay for the next attempts
}

// entry finds or makes the record of an address, and forgets the oldest where there are too many. The caller
// holds mu.
func (t *Throttle) entry(network netip.Prefix) *failure {
	if e := t.mu.failures[network]; e != nil {
		t.mu.order.MoveToFront(e)
		return e.Value.(*failure)
	}
	if t.mu.order.Len() >= t.cfg.Addresses {
		oldest := t.mu.order.Back()
		delete(t.mu.failures, t.mu.order.Remove(oldest).(*failure).network)
	}
	f := &failure{network: network, tokens: float64(t.cfg.Burst), counted: time.Now()}
	t.mu.failures[network] = t.mu.order.PushFront(f)
	return f
}
