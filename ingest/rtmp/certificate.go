package rtmp

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"nova/internal/obs"
)

// certificate is the server's key pair, read again when one of its files changes, so that a renewed certificate needs
// no restart. While the new files are not valid, or only one of them is new, the old pair holds.
type certificate struct {
	// set by newCertificate
	cfg TLSConfig
	log *slog.Logger

	mu struct {
		sync.Mutex
		pair     *tls.Certificate
		modified [2]time.Time // of the certificate and of the key
	}
}

func newCertificate(cfg TLSConfig, log *slog.Logger) (*certificate, error) {
	c := &certificate{cfg: cfg, log: log}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.reload()
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reload(); err != nil {
		c.log.Error("keeping the certificate that was read before", obs.Err(err))
	}
	return c.mu.pair, nil
}

// reload reads the pair where a file changed since the last time, which is also remembered where they are not valid.
// The caller holds mu.
func (c *certificate) reload() error {
	certificate, err := os.Stat(c.cfg.Certificate)
	if err != nil {
		return fmt.Errorf("cannot read tls.certificate: %w", err)
	}
	key, err := os.Stat(c.cfg.Key)
	if err != nil {
		return fmt.Errorf("cannot read tls.key: %w", err)
	}
	modified := [2]time.Time{certificate.ModTime(), key.ModTime()}
	if modified == c.mu.modified {
		return nil
	}
	c.mu.modified = modified
	pair, err := tls.LoadX509KeyPair(c.cfg.Certificate, c.cfg.Key)
	if err != nil {
		return fmt.Errorf("cannot read tls.certificate and tls.key: %w", err)
	}
	c.mu.pair = &pair
	return nil
}
