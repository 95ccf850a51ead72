// Package devstacktest gives tests real servers: one of each kind per test binary, started by the first test
// that asks, and a bucket per test.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(devstacktest.Main(m)) }
//
//	bucket := devstacktest.Bucket(t)      // of the shared server
//	server := devstacktest.OwnS3(t)       // the test's own, to stop and start
package devstacktest

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"nova/internal/blob"
	"nova/internal/devstack"
)

// shared is the server that the tests of one binary have in common.
var shared struct {
	sync.Mutex
	dir string
	s3  *devstack.S3
}

// Runner is what a test main runs; *testing.M is one.
type Runner interface{ Run() int }

type mainRunner struct{ tests Runner }

// Main stops the shared servers after the tests, before anyone looks for leaked goroutines.
func Main(m Runner) Runner { return mainRunner{m} }

func (m mainRunner) Run() int {
	defer stopShared()
	return m.tests.Run()
}

func stopShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.s3 != nil {
		shared.s3.Stop()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir) // a leftover in the temporary folder harms nobody
	}
}

func sharedS3(t testing.TB) *devstack.S3 {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.s3 != nil {
		return shared.s3
	}
	dir, err := os.MkdirTemp("", "nova-devstack-")
	if err != nil {
		t.Fatal(err)
	}
	shared.dir = dir
	server, err := devstack.NewS3(dir, "nova")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared.s3 = server
	return server
}

// Config is a bucket of the test's own on the shared server; it exists.
func Config(t testing.TB) blob.Config {
	t.Helper()
	cfg := sharedS3(t).Config()
	cfg.Bucket = "t-" + strings.ToLower(rand.Text())
	Open(t, cfg)
	return cfg
}

// Bucket is the test's own bucket on the shared server.
func Bucket(t testing.TB) *blob.Bucket {
	t.Helper()
	return Open(t, Config(t))
}

// OwnS3 is a server of the test's own, running, which it may stop and start.
func OwnS3(t testing.TB) *devstack.S3 {
	t.Helper()
	server, err := devstack.NewS3(t.TempDir(), "nova")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// Open makes the bucket where it is missing, and closes it after the test.
func Open(t testing.TB, cfg blob.Config) *blob.Bucket {
	t.Helper()
	bucket, err := blob.New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bucket.Close)
	if err := bucket.EnsureBucket(t.Context()); err != nil {
		t.Fatal(fmt.Errorf("cannot make the test's bucket: %w", err))
	}
	return bucket
}
