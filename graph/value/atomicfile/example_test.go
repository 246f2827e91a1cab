package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/graphrun/graphrun/graph/value/atomicfile"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "atomicfile")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "epochs.txt")
	err = atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "epoch 1\n")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	failed := atomicfile.Write(path, func(w io.Writer) error {
		io.WriteString(w, "epo")
		return errors.New("interrupted")
	})
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%v\n", text, failed != nil)
	// Output:
	// epoch 1
	// true
}
