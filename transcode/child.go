package transcode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// child is one worker process with its four pipes. It leads its own process group, so that a Ctrl-C at the
// terminal does not reach it, and dies with this process.
type child struct {
	cmd     *exec.Cmd
	stdin   *os.File
	stdout  *os.File
	stderr  *os.File
	reports *os.File
}

// pipes opens n pipes; on failure none stays open.
func pipes(n int) (read, write []*os.File, err error) {
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(read, write...)...)
			return nil, nil, fmt.Errorf("cannot open pipe: %w", err)
		}
		read, write = append(read, r), append(write, w)
	}
	return read, write, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe's end has nothing to lose
	}
}

// startChild runs argv with pipes. Called on the spawner's thread only: see spawner.
func startChild(argv []string) (*child, error) {
	r, w, err := pipes(4)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // ended by its supervisor, in steps
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = r[0], w[1], w[2], []*os.File{w[3]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	closeAll(r[0], w[1], w[2], w[3])
	if err != nil {
		closeAll(w[0], r[1], r[2], r[3])
		return nil, fmt.Errorf("cannot start worker %q: %w", argv[0], err)
	}
	return &child{cmd: cmd, stdin: w[0], stdout: r[1], stderr: r[2], reports: r[3]}, nil
}

// kill ends the worker's whole process group at once.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // fails where it has ended, which is what is wanted
}

// spawner starts all children from one thread that lives as long as the supervisor: the kernel ends a child when
// the thread that made it ends, and Go gives no promise about other threads.
type spawner struct {
	requests chan spawnRequest
}

type spawnRequest struct {
	argv  []string
	reply chan spawned
}

type spawned struct {
	child *child
	err   error
}

func newSpawner() *spawner { return &spawner{requests: make(chan spawnRequest)} }

// runSpawner answers start until ctx ends.
func (s *spawner) runSpawner(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case req := <-s.requests:
			c, err := startChild(req.argv)
			req.reply <- spawned{c, err}
		case <-ctx.Done():
			return
		}
	}
}

var errStopped = errors.New("supervisor has stopped")

// start runs argv. It fails with errStopped where ctx ended.
func (s *spawner) start(ctx context.Context, argv []string) (*child, error) {
	req := spawnRequest{argv: argv, reply: make(chan spawned, 1)}
	select {
	case s.requests <- req:
		answer := <-req.reply
		return answer.child, answer.err
	case <-ctx.Done():
		return nil, errStopped
	}
}
