package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := os.CreateTemp(dir, ""); err != nil {
		t.Fatal(err)
	} else if _, err := tryLock(f); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("there are no locks here")
	}
	if _, err := LockDir(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("%s: another training runs in it: process %d on ", dir, os.Getpid())) {
		t.Errorf("a second lock: %v", err)
	}
	lock.Unlock()
	if _, err := os.Stat(filepath.Join(dir, LockFile)); err == nil {
		t.Error("the file of a lock that is released is left")
	}
	if err := os.WriteFile(filepath.Join(dir, LockFile), []byte("process 1, which was killed\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if lock, err = LockDir(dir); err != nil {
		t.Errorf("the file of a killed process locks: %v", err)
	}
	lock.Unlock()
	(*Lock)(nil).Unlock()

	// Whoever comes while one goes locks the file that is there, not the one that is gone: two never hold it.
	held := make(chan bool, 1)
	done := make(chan error)
	for range 4 {
		go func() {
			for range 200 {
				lock, err := LockDir(dir)
				if errors.Is(err, ErrLocked) {
					continue
				}
				if err != nil {
					done <- err
					return
				}
				select {
				case held <- true:
				default:
					done <- errors.New("two hold the lock")
					return
				}
				<-held
				lock.Unlock()
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
