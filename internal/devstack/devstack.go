// Package devstack starts the servers that Nova needs and that its configuration does not name, each under its
// own folder of one state folder, and stops them with the parent.
//
//	nova dev ──▶ [Stack: lock on .nova/] ──▶ S3 ──▶ versitygw (child process, own group, dies with us)
//	                    ▲ Exited                └─ .nova/s3/: data, credentials, log
//
// A server is a small struct that knows one program: its arguments, its files, and when it is ready. It can be
// stopped and started again on the same port with the same data, which the fault tests do.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"nova/internal/obs"
)

// Server is one program of the stack.
type Server interface {
	// Name is a short word for logs.
	Name() string
	// Start returns once the server answers, or fails with nothing left running.
	Start(ctx context.Context) error
	// Stop ends the server and returns once it is gone. Idempotent.
	Stop()
	// Exited is closed once the program that the last Start began has ended, for whatever reason.
	Exited() <-chan struct{}
	// LogFile is where the program writes.
	LogFile() string
}

// Stack owns a state folder and the servers started under it.
type Stack struct {
	// set by Open
	dir     string
	lock    *os.File
	log     *slog.Logger
	crashed chan error
	closing chan struct{}
	watches sync.WaitGroup

	// owned by the caller of Start and Close
	servers []Server
}

// Open takes the state folder for this process alone, and makes it where it is missing.
func Open(dir string, log *slog.Logger) (*Stack, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot use state folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make state folder: %w", err)
	}
	lock, err := takeLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	return &Stack{
		dir: dir, lock: lock, log: log.With(obs.KeyComp, "devstack"),
		crashed: make(chan error, 1), closing: make(chan struct{}),
	}, nil
}

// takeLock holds an advisory lock for as long as the file is open: a killed parent leaves no stale one behind.
func takeLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the state folder's lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s is in use by another nova: stop that one, or choose another state folder", filepath.Dir(path))
	}
	return nil, fmt.Errorf("cannot lock %s: %w", path, err)
}

// Dir is the state folder's absolute path.
func (s *Stack) Dir() string { return s.dir }

// Start starts a server and watches it until Close.
func (s *Stack) Start(ctx context.Context, server Server) error {
	if err := server.Start(ctx); err != nil {
		return fmt.Errorf("cannot start %s: %w", server.Name(), err)
	}
	s.servers = append(s.servers, server)
	s.watches.Add(1)
	// Owns: nothing. Ends when: the server exits or Close begins. Waited for by: Close.
	go s.runWatch(server)
	s.log.Info("server started", slog.String("server", server.Name()), slog.String(obs.KeyPath, server.LogFile()))
	return nil
}

func (s *Stack) runWatch(server Server) {
	defer s.watches.Done()
	select {
	case <-s.closing:
	case <-server.Exited():
		select {
		case s.crashed <- fmt.Errorf("%s ended by itself; its last words are in %s", server.Name(), server.LogFile()):
		default: // the first crash is reported, the others follow from the same stop
		}
	}
}

// Crashed gives an error where a server ended without being asked.
func (s *Stack) Crashed() <-chan error { return s.crashed }

// Close stops the servers, the last started first, and gives the folder back.
func (s *Stack) Close() {
	close(s.closing)
	s.watches.Wait()
	for i := len(s.servers) - 1; i >= 0; i-- {
		s.servers[i].Stop()
	}
	s.lock.Close()
}
