package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// program is what to run: a binary with its arguments, what it needs in its environment, and its log.
type program struct {
	path    string
	args    []string
	env     []string
	logFile string
	// grace is how long the program has from SIGTERM to SIGKILL.
	grace time.Duration
}

// process is one run of a program.
type process struct {
	// set by start
	pid   int
	grace time.Duration
	done  chan struct{}
	// err is how the program ended; read it after done is closed.
	err error
}

// start runs the program in its own process group, so that Ctrl-C in a terminal reaches the parent alone, which
// then stops it in order; and with a death signal, so that it does not outlive a killed parent.
func (p *program) start() (*process, error) {
	out, err := os.OpenFile(p.logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // it lives until stop, not as long as the start
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	run := &process{grace: p.grace, done: make(chan struct{})}
	started := make(chan error)
	// Owns: the child and its log file. Ends when: the child ended. Waited for by: stop, through done.
	go run.runProcess(cmd, out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", p.path, err)
	}
	return run, nil
}

// runProcess keeps its thread for the child's life: the kernel sends the death signal when the thread that
// started the child ends, not the process.
func (p *process) runProcess(cmd *exec.Cmd, out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer out.Close()
	err := cmd.Start()
	if err == nil {
		p.pid = cmd.Process.Pid
	}
	started <- err
	if err != nil {
		return
	}
	p.err = cmd.Wait()
	close(p.done)
}

// stop asks the whole group to end, insists after its grace, and returns once the program is gone.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(p.grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // the id may be another program's by now
	default:
		_ = syscall.Kill(-p.pid, sig) // it may have ended this moment
	}
}

// findProgram looks where env says, in PATH, and where the set-up puts programs.
func findProgram(name, env string) (string, error) {
	if path := os.Getenv(env); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%s: %w", env, err)
		}
		return path, nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w", name, err)
	}
	path := filepath.Join(cache, "nova", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot find %s in PATH or at %s: run \"make setup\", or set %s", name, path, env)
	}
	return path, nil
}

// tail is the end of a log, for the error of a program that did not start.
func tail(logFile string) string {
	data, err := os.ReadFile(logFile)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// errExited tells that the program ended before it was ready.
var errExited = errors.New("ended before it was ready")
