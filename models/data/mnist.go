package data

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/runtime/value"
)

// LoadMNIST reads the MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges): 60000 images to train
// and 10000 to test, u8[N,1,28,28], of the classes "0" to "9". The files are
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// in the root of fsys, each as it is or with .gz appended. Other sets of the same files can be read too, of any number and
// size of images, as long as they have ten classes. If files are missing the error, an fs.ErrNotExist, names all of them.
func LoadMNIST(fsys fs.FS) (train, test *Images, err error) {
	classes := make([]string, 10)
	for i := range classes {
		classes[i] = strconv.Itoa(i)
	}
	return loadIDXImages(fsys, classes)
}

// LoadFashionMNIST reads Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, Zalando): pictures of clothes, in files of the same
// names, numbers and sizes as those of MNIST, with the names of the clothes as classes.
func LoadFashionMNIST(fsys fs.FS) (train, test *Images, err error) {
	return loadIDXImages(fsys, []string{
		"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
	})
}

func loadIDXImages(fsys fs.FS, classes []string) (train, test *Images, err error) {
	names := []string{
		"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
	}
	var missing []string
	for i, name := range names {
		found, err := present(fsys, name, name+".gz")
		if err != nil {
			return nil, nil, err
		}
		if found == "" {
			missing = append(missing, name)
		}
		names[i] = found
	}
	if missing != nil {
		return nil, nil, fmt.Errorf("mnist: missing %s (with or without .gz): %w", strings.Join(missing, ", "), fs.ErrNotExist)
	}
	if train, err = readImages(fsys, names[0], names[1], classes); err != nil {
		return nil, nil, err
	}
	if test, err = readImages(fsys, names[2], names[3], classes); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// present returns the first of the names that fsys has, or "".
func present(fsys fs.FS, names ...string) (string, error) {
	for _, name := range names {
		_, err := fs.Stat(fsys, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

func readImages(fsys fs.FS, images, labels string, classes []string) (*Images, error) {
	x, err := OpenIDX(fsys, images)
	if err != nil {
		return nil, err
	}
	y, err := OpenIDX(fsys, labels)
	if err != nil {
		return nil, err
	}
	xs, ys := x.Shape(), y.Shape()
	if x.DType() != value.U8 || len(xs) != 3 {
		return nil, fmt.Errorf("%s: holds %v%v: want images, u8[N,H,W]", images, x.DType(), xs)
	}
	if y.DType() != value.U8 || len(ys) != 1 {
		return nil, fmt.Errorf("%s: holds %v%v: want labels, u8[N]", labels, y.DType(), ys)
	}
	pixels, err := x.Reshape(xs[0], 1, xs[1], xs[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", images, err)
	}
	raw := y.Bytes()
	wide := make([]int64, len(raw))
	for i, v := range raw {
		wide[i] = int64(v)
	}
	numbers, err := value.FromSlice(wide, ys[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", labels, err)
	}
	set, err := NewImages(pixels, numbers, classes)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", images, labels, err)
	}
	return set, nil
}
