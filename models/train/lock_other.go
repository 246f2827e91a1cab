//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package train

import (
	"errors"
	"os"
)

// tryLock has no locks to offer.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
