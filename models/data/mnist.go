package data

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// LoadMNIST reads the MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges): 60000 images to train
// and 10000 to test, u8[N,1,28,28], of the classes "0" to "9". The files are
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// in the root of fsys, each as it is or with .gz appended. Other sets of the same files can be read too, of any number and
// size of images, as long as they have ten classes. If files are missing the error, an fs.ErrNotExist, names all of them.
func LoadMNIST(fsys fs.FS) (train, test *Images, err error) {
	return LoadIDX(fsys, numbered(10))
}

// LoadFashionMNIST reads Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, Zalando): pictures of clothes, in files of the same
// names, numbers and sizes as those of MNIST, with the names of the clothes as classes.
func LoadFashionMNIST(fsys fs.FS) (train, test *Images, err error) {
	return LoadIDX(fsys, []string{
		"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
	})
}

// LoadIDX reads any two sets of images in files of MNIST's names, see LoadMNIST. Without the names of the classes, they are the numbers from
// "0" to the largest label.
func LoadIDX(fsys fs.FS, classes []string) (train, test *Images, err error) {
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
	var sets [2]struct{ pixels, labels *value.Tensor }
	most := int64(-1)
	for i := range sets {
		s := &sets[i]
		if s.pixels, s.labels, err = readImages(fsys, names[2*i], names[2*i+1]); err != nil {
			return nil, nil, err
		}
		top, err := maxLabel(s.labels)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", names[2*i+1], err)
		}
		most = max(most, top)
	}
	if len(classes) == 0 {
		classes = numbered(int(most + 1))
	}
	var images [2]*Images
	for i, s := range sets {
		if images[i], err = NewImages(s.pixels, s.labels, classes); err != nil {
			return nil, nil, fmt.Errorf("%s, %s: %w", names[2*i], names[2*i+1], err)
		}
	}
	return images[0], images[1], nil
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

// readImages reads u8[N,1,H,W] and i64[N].
func readImages(fsys fs.FS, images, labels string) (pixels, numbers *value.Tensor, err error) {
	x, err := OpenIDX(fsys, images)
	if err != nil {
		return nil, nil, err
	}
	y, err := OpenIDX(fsys, labels)
	if err != nil {
		return nil, nil, err
	}
	xs, ys := x.Shape(), y.Shape()
	if x.DType() != value.U8 || len(xs) != 3 {
		return nil, nil, fmt.Errorf("%s: holds %v%v: want images, u8[N,H,W]", images, x.DType(), xs)
	}
	if y.DType() != value.U8 || len(ys) != 1 {
		return nil, nil, fmt.Errorf("%s: holds %v%v: want labels, u8[N]", labels, y.DType(), ys)
	}
	if pixels, err = x.Reshape(xs[0], 1, xs[1], xs[2]); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", images, err)
	}
	wide, err := asLabels(y)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", labels, err)
	}
	if numbers, err = value.FromSlice(wide, ys[0]); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", labels, err)
	}
	return pixels, numbers, nil
}
