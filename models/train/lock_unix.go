//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package train

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks a file until it is closed, and reports false if another process has locked it.
func tryLock(f *os.File) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return err == nil, err
		}
	}
}
