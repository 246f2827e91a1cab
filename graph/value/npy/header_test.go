package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
)

// fileOf is an .npy file with a header.
func fileOf(version byte, text string, elems ...byte) []byte {
	b := append([]byte(magic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	}
	return append(append(b, text...), elems...)
}

// What NumPy 2.4.6 made of headers over the elements 1 0 2 0 3 0 ..., as many as there are; nothing where it refused them.
func TestHeadersAsNumPy(t *testing.T) {
	for _, c := range []struct {
		version byte
		text    string
		want    string
	}{
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{2, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{3, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{1, "{'shape': (2, 3), 'fortran_order': True, 'descr': '>i2'}\n", "i16[2,3] [[256 768 1280] [512 1024 1536]]"},
		{1, "{'descr':'<i2','fortran_order':False,'shape':(2,3)}", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{1, "  {  'descr' :\t'<i2' ,\n 'fortran_order':False,'shape':( 2 , 3 , ) , }   \n\n", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{1, "{\"descr\": \"<i2\", \"fortran_order\": False, \"shape\": (2, 3)}", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{1, "{u'descr': u'<i2', u'fortran_order': False, u'shape': (2L, 3L), }", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{2, "{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 3L), }", "i16[2,3] [[1 2 3] [4 5 6]]"},
		{3, "{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 3L), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6L,), }", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,), }", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': 6, }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': [6], }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (0x6,), }", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (06,), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (1_0,), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (+6,), }", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6.0,), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (True, 6), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': ('6',), }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,) }, ", ""},
		{1, "({'descr': '<i2', 'fortran_order': False, 'shape': (6,) })", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,) } # made by hand", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<' 'i2', 'fortran_order': False, 'shape': (6,) }", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': '<i2', 'fortran_order': 0, 'shape': (6,) }", ""},
		{1, "{'descr': '<i2', 'fortran_order': 'False', 'shape': (6,) }", ""},
		{1, "{'descr': '<i2', 'fortran_order': None, 'shape': (6,) }", ""},
		{1, "{'descr': '<i2', 'shape': (6,) }", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,), 'extra': 1}", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (5,), 'shape': (6,)}", "i16[6] [1 2 3 4 5 6]"},
		{1, "{'descr': b'<i2', 'fortran_order': False, 'shape': (6,)}", ""},
		{1, "{'descr': None, 'fortran_order': False, 'shape': (6,)}", ""},
		{1, "{'descr': '<i2' 'fortran_order': False, 'shape': (6,)}", ""},
		{1, "{,'descr': '<i2', 'fortran_order': False, 'shape': (6,)}", ""},
		{1, "{'descr': '<i2',, 'fortran_order': False, 'shape': (6,)}", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,,)}", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (,)}", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,)} {}", ""},
		{1, "{'descr': '<i2', 'fortran_order': false, 'shape': (6,)}", ""},
		{1, "['descr', '<i2']", ""},
		{1, "", ""},
		{1, "{}", ""},
		{1, "{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999,)}", ""},
		{1, "{'descr': 'i2', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': '=i2', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': '|i2', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': '>i2', 'fortran_order': False, 'shape': ()}", "i16[] 256"},
		{1, "{'descr': 'h', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': '>h', 'fortran_order': False, 'shape': ()}", "i16[] 256"},
		{1, "{'descr': '<h', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': 'int16', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': 'short', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': 'f2', 'fortran_order': False, 'shape': ()}", "f16[] 6e-08"},
		{1, "{'descr': 'e', 'fortran_order': False, 'shape': ()}", "f16[] 6e-08"},
		{1, "{'descr': 'half', 'fortran_order': False, 'shape': ()}", "f16[] 6e-08"},
		{1, "{'descr': 'float16', 'fortran_order': False, 'shape': ()}", "f16[] 6e-08"},
		{1, "{'descr': 'u2', 'fortran_order': False, 'shape': ()}", "u16[] 1"},
		{1, "{'descr': 'H', 'fortran_order': False, 'shape': ()}", "u16[] 1"},
		{1, "{'descr': 'uint16', 'fortran_order': False, 'shape': ()}", "u16[] 1"},
		{1, "{'descr': 'ushort', 'fortran_order': False, 'shape': ()}", "u16[] 1"},
		{1, "{'descr': '>int16', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': '<short', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': 'b2', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': 'i02', 'fortran_order': False, 'shape': ()}", "i16[] 1"},
		{1, "{'descr': 'i3', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': '!', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': 'int16_', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': 'Int16', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': 'i2 ', 'fortran_order': False, 'shape': ()}", ""},
		{1, "{'descr': ' i2', 'fortran_order': False, 'shape': ()}", ""},
	} {
		elems := []byte{1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0}
		if strings.Contains(c.text, "'shape': ()") {
			elems = elems[:2]
		}
		in := fileOf(c.version, c.text, elems...)
		got, err := Read(bytes.NewReader(in), int64(len(in)))
		switch {
		case c.want == "" && err == nil:
			t.Errorf("version %d, %s: %v, which NumPy refuses", c.version, c.text, got)
		case c.want != "" && (err != nil || got.String() != c.want):
			t.Errorf("version %d, %s: %v, %v, want %s", c.version, c.text, got, err, c.want)
		}
	}
	for _, version := range [][2]byte{{0, 0}, {1, 1}, {4, 0}} {
		in := fileOf(version[0], "{'descr': '<i2', 'fortran_order': False, 'shape': ()}", 1, 0)
		in[7] = version[1]
		if got, err := Read(bytes.NewReader(in), -1); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("version %d.%d", version[0], version[1])) {
			t.Errorf("version %v: %v, %v", version, got, err)
		}
	}
}

// The words for dtypes that numpy.dtype of NumPy 2.4.6 takes, on Linux on amd64.
func TestDTypesAsNumPy(t *testing.T) {
	for dt, words := range map[value.DType]string{
		value.Bool: "? b1 bool bool_ |b1 <? =? |? >b1",
		value.I8:   "b byte i1 int8 |b |i1",
		value.I16:  "h int16 short <i2",
		value.I32:  "i int32 intc <i4",
		value.I64:  "<i08 i08 int int64 int_ intp l long longlong n p q <i8",
		value.U8:   "B u1 ubyte uint8 |B |u1",
		value.U16:  "H uint16 ushort",
		value.U32:  "I uint32 uintc",
		value.U64:  "<u8 L N P Q u8 uint uint64 uintp ulong ulonglong |u8",
		value.F16:  "e f2 float16 half",
		value.F32:  "<f =f4 f f04 float32 single |f4",
		value.F64:  "<d d double f8 float float64",
	} {
		for _, word := range strings.Fields(words) {
			var h header
			if err := h.setDescr(word); err != nil || h.dtype != dt || h.bigEndian != (word[0] == '>') {
				t.Errorf("%s: %v, big-endian %v, %v, want %v", word, h.dtype, h.bigEndian, err, dt)
			}
		}
	}
	refused := []string{
		"", " f4", "!f4", "<<f4", "<float32", "=float32", ">float32", "?1", "B1", "Bool", "Float32", "UInt8", "b2", "bool1", "bool8", "d8", "e2", "f1",
		"f4 ", "float 32", "float_", "h2", "i0", "i16", "i3", "k", "l8", "o", "q8", "u", "uint_", "|<f4", "|float32", // by NumPy too
		"f16", "g", "c8", "D", "O", "S4", "U3", "V8", "M8[s]", "m8", "T", "f4,f4",
	}
	for _, word := range refused {
		var h header
		if err := h.setDescr(word); err == nil {
			t.Errorf("%q is %v", word, h.dtype)
		}
	}
}

// A literal cannot make the parser take the stack.
func TestDeepHeader(t *testing.T) {
	for _, open := range []string{"(", "[", "{'a':"} {
		if _, err := parseHeader(strings.Repeat(open, maxHeader/len(open)), 1); err == nil {
			t.Errorf("%s...: no error", open)
		}
	}
}
