package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"nova/internal/blob"
)

// The limits of a start.
const (
	startTimeout = 20 * time.Second
	probeEvery   = 25 * time.Millisecond
	portTries    = 5
	// versitygw waits for idle connections without end. An object is a file that appears whole or not at all,
	// so that killing it spoils nothing.
	s3Grace = time.Second
)

// S3 is versitygw on a local folder: a real S3 server with signatures, ranges and listings.
type S3 struct {
	// set by NewS3
	binary string
	dir    string
	bucket string
	access string
	secret string
	// sidecar tells that metadata lives in a folder beside the data, for want of extended attributes.
	sidecar bool

	mu struct {
		sync.Mutex
		port int // chosen by the first Start, then kept
		run  *process
	}
}

var _ Server = (*S3)(nil)

// NewS3 prepares the folder "s3" of a state folder: data, random root keys that stay from run to run, the log.
// The server will hold a bucket of the given name.
func NewS3(stateDir, bucket string) (*S3, error) {
	binary, err := findProgram("versitygw", "NOVA_VERSITYGW")
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Join(stateDir, "s3"))
	if err != nil {
		return nil, fmt.Errorf("cannot use state folder: %w", err)
	}
	s := &S3{binary: binary, dir: dir, bucket: bucket}
	if err := os.MkdirAll(s.path("data"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make data folder: %w", err)
	}
	s.sidecar = !hasAttributes(s.path("data"))
	if s.access, s.secret, err = rootKeys(s.path("credentials")); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *S3) path(name string) string { return filepath.Join(s.dir, name) }

// Name tells which server this is.
func (s *S3) Name() string { return "s3" }

// LogFile is where versitygw writes.
func (s *S3) LogFile() string { return s.path("versitygw.log") }

// Config is how to reach the server's bucket; valid after the first Start.
func (s *S3) Config() blob.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config(s.mu.port)
}

func (s *S3) config(port int) blob.Config {
	cfg := blob.DefaultConfig()
	cfg.Endpoint = "http://127.0.0.1:" + strconv.Itoa(port)
	cfg.Bucket = s.bucket
	cfg.PathStyle = true
	cfg.CredentialsFile = s.path("credentials")
	return cfg
}

// Start runs the server on a free port, or on the one it had before, and returns once it answers a signed
// request.
func (s *S3) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.mu.port != 0 {
		return s.startOn(ctx, s.mu.port)
	}
	var err error
	for range portTries {
		var port int
		if port, err = freePort(ctx); err != nil {
			return err
		}
		if err = s.startOn(ctx, port); err == nil {
			s.mu.port = port
			return nil
		}
		if !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

// startOn is called with mu held.
func (s *S3) startOn(ctx context.Context, port int) error {
	program := &program{
		path: s.binary,
		args: s.args(port),
		// In the environment, because anyone on the machine may read a command line.
		env:     []string{"ROOT_ACCESS_KEY_ID=" + s.access, "ROOT_SECRET_ACCESS_KEY=" + s.secret},
		logFile: s.LogFile(),
		grace:   s3Grace,
	}
	run, err := program.start()
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, run, port); err != nil {
		run.stop()
		return fmt.Errorf("%w; %s ends with: %s", err, s.LogFile(), tail(s.LogFile()))
	}
	s.mu.run = run
	return nil
}

func (s *S3) args(port int) []string {
	args := []string{"--port", "127.0.0.1:" + strconv.Itoa(port), "--keep-alive", "--quiet", "posix"}
	if s.sidecar {
		args = append(args, "--sidecar", s.path("meta"))
	}
	return append(args, s.path("data"))
}

// hasAttributes tells whether the file system keeps extended attributes, where versitygw puts content types.
// Some tmpfs and network folders do not; a folder beside the data serves there.
func hasAttributes(dir string) bool {
	const name = "user.nova.probe"
	if syscall.Setxattr(dir, name, []byte("1"), 0) != nil {
		return false
	}
	return syscall.Removexattr(dir, name) == nil
}

// awaitReady creates the bucket, again and again until the server is there to do it.
func (s *S3) awaitReady(ctx context.Context, run *process, port int) error {
	if err := os.MkdirAll(s.path("meta"), 0o700); err != nil {
		return fmt.Errorf("cannot make folder: %w", err)
	}
	cfg := s.config(port)
	cfg.Attempts, cfg.Timeout = 1, time.Second
	probe, err := blob.New(ctx, cfg, nil)
	if err != nil {
		return err
	}
	defer probe.Close()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := probe.EnsureBucket(ctx)
		select {
		case <-run.done:
			return fmt.Errorf("versitygw %w: %w", errExited, run.err)
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("versitygw does not answer: %w", err)
		case <-run.done:
		case <-tick.C:
		}
	}
}

// Stop ends the server; its data and its port stay for the next Start.
func (s *S3) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.run != nil {
		s.mu.run.stop()
	}
}

// Exited is closed once the server that the last Start began has ended; nil before the first Start.
func (s *S3) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.run == nil {
		return nil
	}
	return s.mu.run.done
}

// rootKeys reads the server's keys, or makes them up and keeps them in a file in the form of
// ~/.aws/credentials, which blob.Config.CredentialsFile reads.
func rootKeys(path string) (access, secret string, err error) {
	if data, err := os.ReadFile(path); err == nil {
		if access, secret = parseKeys(string(data)); access != "" && secret != "" {
			return access, secret, nil
		}
	}
	access, secret = "NOVA"+rand.Text()[:16], rand.Text()+rand.Text()
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", access, secret)
	if err := os.WriteFile(path+".part", []byte(text), 0o600); err != nil {
		return "", "", fmt.Errorf("cannot keep keys: %w", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return "", "", fmt.Errorf("cannot keep keys: %w", err)
	}
	return access, secret, nil
}

func parseKeys(text string) (access, secret string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			access = strings.TrimSpace(value)
		case "aws_secret_access_key":
			secret = strings.TrimSpace(value)
		}
	}
	return access, secret
}
