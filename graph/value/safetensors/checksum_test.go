package safetensors

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
)

// TestChecksum holds the checksum against its published check value and the standard library's.
func TestChecksum(t *testing.T) {
	if have := crc(0, []byte("123456789")); have != 0xcbf43926 {
		t.Errorf("have %08x", have)
	}
	data := make([]byte, 1000)
	for i := range data {
		data[i] = byte(i * i)
	}
	for cut := range data {
		if have, want := crc(crc(0, data[:cut]), data[cut:]), crc32.ChecksumIEEE(data); have != want {
			t.Fatalf("cut at %d: have %08x, want %08x", cut, have, want)
		}
	}
	if have := string(appendDigits(nil, 0x12ab)); have != "000012ab" {
		t.Errorf("have %s", have)
	}
}

// TestChecked flips every bit of a file: none is read as if nothing had happened.
func TestChecked(t *testing.T) {
	x, err := value.FromSlice([]float32{1, 2, 3}, 3)
	if err != nil {
		t.Fatal(err)
	}
	tensors := []Named{{"w", x}, {"none", value.Scalar(int64(7))}}
	var b bytes.Buffer
	if err := WriteChecked(&b, tensors, map[string]string{"a": "b", "crc32": "that of another file"}); err != nil {
		t.Fatal(err)
	}
	file := bytes.Clone(b.Bytes())
	// As a program in any language computes it.
	at := bytes.Index(file, []byte(`"crc32":"`)) + len(`"crc32":"`)
	digits := string(file[at : at+8])
	if want := string(appendDigits(nil, crc32.ChecksumIEEE(bytes.Replace(file, []byte(digits), []byte("00000000"), 1)))); digits != want {
		t.Errorf("the file says %s, want %s", digits, want)
	}
	f, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil || !f.Checked || f.Metadata["a"] != "b" || f.Metadata["crc32"] != digits || !f.Tensors["w"].Equal(x) {
		t.Fatalf("%+v, %v", f, err)
	}
	damaged := 0
	for i := range file {
		for bit := range 8 {
			spoilt := bytes.Clone(file)
			spoilt[i] ^= 1 << bit
			for _, size := range []int64{int64(len(spoilt)), -1} {
				f, err := Read(bytes.NewReader(spoilt), size)
				if err == nil && f.Checked {
					t.Fatalf("bit %d of byte %d: nobody sees it", bit, i)
				}
				if err != nil && !errors.Is(err, ErrFormat) {
					t.Fatal(err)
				}
				if err != nil && strings.Contains(err.Error(), "damaged") {
					damaged++
				}
			}
		}
	}
	if damaged < 2*8*20 { // the bytes of the tensors
		t.Errorf("%d errors are of the checksum", damaged)
	}

	// Who writes other tensors and copies the metadata writes no checksum.
	f.Tensors["w"].Bytes()[0]++
	b.Reset()
	if err := Write(&b, f.Named(), f.Metadata); err != nil {
		t.Fatal(err)
	}
	if f, err := Read(&b, -1); err != nil || f.Checked || f.Metadata["crc32"] != digits {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestNullMetadata(t *testing.T) {
	for header, ok := range map[string]bool{
		`{"__metadata__":null}`: true, `{"__metadata__": null }`: true, `{"__metadata__":nul}`: false,
		`{"__metadata__":{"a":null}}`: false, `{"__metadata__":null,"__metadata__":{}}`: false,
	} {
		file := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
		if f, err := Read(bytes.NewReader(file), int64(len(file))); ok != (err == nil) || ok && f.Metadata != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}
