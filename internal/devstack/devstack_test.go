package devstack

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nova/internal/blob"
)

// childEnv makes this test binary a parent that starts a server and waits to be killed.
const childEnv = "NOVA_DEVSTACK_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m)
}

func beParent(dir string) {
	server, err := NewS3(dir, "nova")
	if err == nil {
		err = server.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("started", server.mu.run.pid)
	select {}
}

func newS3(t *testing.T, dir string) *S3 {
	t.Helper()
	server, err := NewS3(dir, "nova")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

func start(t *testing.T, server Server) {
	t.Helper()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, cfg blob.Config) *blob.Bucket {
	t.Helper()
	bucket, err := blob.New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bucket.Close)
	return bucket
}

func TestS3KeepsDataAndPort(t *testing.T) {
	dir := t.TempDir()
	server := newS3(t, dir)
	start(t, server)
	before := server.Config()
	bucket := open(t, before)
	if err := bucket.Put(t.Context(), "k", []byte("v"), blob.PutOptions{ContentType: "text/x-own"}); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	server.Stop() // idempotent
	if bucket.CheckReady(t.Context()) == nil {
		t.Fatal("a stopped server answers")
	}
	start(t, server)
	if after := server.Config(); after != before {
		t.Errorf("the configuration changed from %+v to %+v", before, after)
	}
	data, info, err := bucket.ReadAll(t.Context(), "k", 10)
	if err != nil || string(data) != "v" || info.ContentType != "text/x-own" {
		t.Errorf("after the restart: %q, %+v, %v", data, info, err)
	}
	server.Stop()

	again := newS3(t, dir) // the next run of the program finds the keys and the data
	start(t, again)
	if _, err := open(t, again.Config()).Head(t.Context(), "k"); err != nil {
		t.Errorf("in a new run: %v", err)
	}
}

// Where the file system has no extended attributes, a folder beside the data keeps the content types.
func TestS3WithoutAttributes(t *testing.T) {
	server := newS3(t, t.TempDir())
	server.sidecar = true
	start(t, server)
	bucket := open(t, server.Config())
	if err := bucket.Put(t.Context(), "k", []byte("v"), blob.PutOptions{ContentType: "text/x-own"}); err != nil {
		t.Fatal(err)
	}
	if info, err := bucket.Head(t.Context(), "k"); err != nil || info.ContentType != "text/x-own" {
		t.Errorf("%+v, %v", info, err)
	}
	if entries, err := os.ReadDir(server.path("meta")); err != nil || len(entries) == 0 {
		t.Errorf("nothing beside the data: %v", err)
	}
	if hasAttributes(filepath.Join(server.dir, "nowhere")) {
		t.Error("a folder that is not there has no attributes")
	}
}

func TestCredentialsAreSecret(t *testing.T) {
	server := newS3(t, t.TempDir())
	info, err := os.Stat(server.path("credentials"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if strings.Contains(strings.Join(server.args(1), " "), server.secret) {
		t.Error("the secret is on the command line")
	}
	if other := newS3(t, t.TempDir()); other.secret == server.secret {
		t.Error("two folders have the same keys")
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := newS3(t, t.TempDir())
	server.mu.port = listener.Addr().(*net.TCPAddr).Port
	err = server.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), server.LogFile()) {
		t.Fatalf("started on a taken port: %v", err)
	}
	server.mu.port = 0 // not fixed: another one is found
	start(t, server)
}

func TestProgramMissing(t *testing.T) {
	t.Setenv("NOVA_VERSITYGW", "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := NewS3(t.TempDir(), "nova"); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("no program at all: %v", err)
	}
	t.Setenv("NOVA_VERSITYGW", "/nonexistent/gw")
	if _, err := NewS3(t.TempDir(), "nova"); err == nil || !strings.Contains(err.Error(), "NOVA_VERSITYGW") {
		t.Errorf("the variable names nothing: %v", err)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestStackReportsCrash(t *testing.T) {
	stack, err := Open(t.TempDir(), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	server := newS3(t, stack.Dir())
	if err := stack.Start(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server.mu.run.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-stack.Crashed(); !strings.Contains(err.Error(), server.LogFile()) {
		t.Errorf("crash: %v", err)
	}
}

func TestStackStopsAndGivesFolderBack(t *testing.T) {
	dir := t.TempDir()
	stack, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, discard()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second stack in one folder: %v", err)
	}
	server := newS3(t, stack.Dir())
	if err := stack.Start(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	stack.Close()
	<-server.Exited()
	select {
	case err := <-stack.Crashed():
		t.Errorf("an ordered stop was reported as a crash: %v", err)
	default:
	}
	again, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A program that ignores SIGTERM is killed, with its children.
func TestStopInsists(t *testing.T) {
	program := &program{
		path: "/bin/sh", args: []string{"-c", `trap "" TERM; while :; do sleep 1; done`},
		logFile: filepath.Join(t.TempDir(), "log"), grace: 100 * time.Millisecond,
	}
	run, err := program.start()
	if err != nil {
		t.Fatal(err)
	}
	run.stop()
	if run.err == nil {
		t.Error("killed, yet it ended well")
	}
}

// A parent that is killed, with no chance to stop anything, takes its servers with it.
func TestServersDieWithParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), childEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(line, "started %d", &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-tick.C:
			if gone(pid) {
				tick.Stop()
				return
			}
		case <-deadline.C:
			t.Fatalf("the server %d outlives its parent", pid)
		}
	}
}

// gone tells whether the process ended; a zombie that nobody waits for has.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
