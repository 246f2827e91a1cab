package data

import (
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
)

// What takes a reader, a file system, a picture, a tensor or a dataset answers a nil one with an error.
func TestNil(t *testing.T) {
	one := []string{"a"}
	for name, err := range map[string]error{
		"ReadCSV":          second(ReadCSV(nil, CSVOptions{})),
		"OpenCSV":          second(OpenCSV(nil, "x", CSVOptions{})),
		"ReadNPZ":          third(ReadNPZ(nil, 5, NPZOptions{})),
		"OpenNPZ":          third(OpenNPZ(nil, "x", NPZOptions{})),
		"ReadIDX":          second(ReadIDX(nil)),
		"OpenIDX":          second(OpenIDX(nil, "x")),
		"WriteIDX":         WriteIDX(nil, value.Scalar(true)),
		"WriteIDX, tensor": WriteIDX(io.Discard, nil),
		"LoadMNIST":        third(LoadMNIST(nil)),
		"LoadFashionMNIST": third(LoadFashionMNIST(nil)),
		"LoadIDX":          third(LoadIDX(nil, one)),
		"LoadCIFAR":        third(LoadCIFAR(nil, one)),
		"OpenFolder":       second(OpenFolder(nil, FolderOptions{})),
		"FindParts":        second(FindParts(nil)),
		"DecodePicture":    second(DecodePicture(nil)),
		"Pixels":           second(Pixels(nil, 1, 1, 1)),
		"Picture":          second(Picture(nil)),
		"NewTensorDataset": second(NewTensorDataset(nil, nil)),
		"NewClassified":    second(NewClassified(nil, nil, one)),
		"NewImages":        second(NewImages(nil, nil, one)),
		"NewLoader":        second(NewLoader(nil, LoaderOptions{BatchSize: 1})),
		"NewSubset":        second(NewSubset(nil, nil)),
		"First":            second(First(nil, 1)),
		"Split":            third(Split(nil, 0.5, 0)),
		"Relabel":          second(Relabel(nil, one, nil)),
		"Standardization":  second(Standardization(nil)),
		"Normalize":        second(Normalize(nil, Normalization{[]float64{0}, []float64{1}})),
		"Map":              second(Map(nil, func(x *value.Tensor) (*value.Tensor, error) { return x, nil })),
		"Bytes":            second(Bytes(nil)),
		"Apply":            (*Normalization)(nil).Apply(value.Scalar(float32(1))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

// As many are let in as fit, one that is as large as all alone among them.
func TestGate(t *testing.T) {
	all := float64(value.ReadLimit())
	var mu sync.Mutex
	inside, most := 0.0, 0.0
	var wg sync.WaitGroup
	for i := range 40 {
		n := all * float64(i%4+1) / 4
		wg.Go(func() {
			leave := decoding.enter(n)
			mu.Lock()
			inside += n
			most = max(most, inside)
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			inside -= n
			mu.Unlock()
			leave()
		})
	}
	wg.Wait()
	if most > all || decoding.taken != 0 {
		t.Errorf("%v of %v at once, %v left behind", most, all, decoding.taken)
	}
}
