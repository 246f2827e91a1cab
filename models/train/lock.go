package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// LockFile is the file in Config.Dir that says who trains there.
const LockFile = "train.lock"

// ErrLocked is in the error of LockDir for a directory in which another training runs.
var ErrLocked = errors.New("another training runs in it")

// Lock keeps other trainings out of a directory.
type Lock struct{ f *os.File }

// LockDir locks a directory, which it creates if need be, for a training and for saving what comes out of it. The error says which process
// has locked it, if one has. The operating system holds the lock and releases it when the process ends, however it ends: the file that
// a killed process leaves locks nothing. Where the system or the file system has no locks, LockDir succeeds.
func LockDir(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, LockFile)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		free, err := tryLock(f)
		if errors.Is(err, errors.ErrUnsupported) {
			free, err = true, nil
		}
		if err != nil || !free {
			holder, _ := io.ReadAll(io.LimitReader(f, 256))
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
			if who := strings.TrimSpace(string(holder)); who != "" {
				return nil, fmt.Errorf("%s: %w: %s", dir, ErrLocked, who)
			}
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		// Whoever held the lock may have removed the file since it was opened: a lock on that one keeps nobody out.
		locked, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 != nil || err2 != nil || !os.SameFile(locked, named) {
			f.Close()
			continue
		}
		l := &Lock{f}
		if err := l.sign(); err != nil {
			l.Unlock()
			return nil, err
		}
		return l, nil
	}
}

// sign writes who holds the lock.
func (l *Lock) sign() error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.f, "process %d on %s, since %s\n", os.Getpid(), host, time.Now().Format(time.DateTime))
	return err
}

// Unlock lets others train in the directory. A nil lock is none.
func (l *Lock) Unlock() {
	if l == nil {
		return
	}
	if runtime.GOOS == "windows" { // removes no open file, and no file that somebody else has opened
		l.f.Close()
		os.Remove(l.f.Name())
		return
	}
	os.Remove(l.f.Name())
	l.f.Close()
}
