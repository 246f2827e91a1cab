package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// checkNamed returns the index in dtypes of a tensor that the format can hold.
func checkNamed(t Named) (int, error) {
	switch {
	case t.Name == metadataKey:
		return 0, errors.New("the name is reserved")
	case !utf8.ValidString(t.Name):
		return 0, errors.New("the name is not UTF-8")
	case t.Tensor == nil:
		return 0, errors.New("the tensor is nil")
	}
	dt := t.Tensor.DType()
	for i, row := range dtypes {
		if row.dt == dt && dt.Valid() {
			return i, checkPadding(dt, t.Tensor.Shape())
		}
	}
	return 0, errfmt.Errorf("the format has no dtype %s", dt)
}

// appendHeader appends the header to b, which holds space for its length, and sets the length.
func appendHeader(b []byte, tensors []Named, rank map[string]int, metadata map[string]string, checked bool) ([]byte, error) {
	if checked {
		b = append(b, checkedHeader+noChecksum+`"`...)
	} else if b = append(b, '{'); metadata != nil {
		b = append(appendQuote(b, metadataKey), ":{"...)
	}
	if metadata != nil || checked {
		keys := slices.Collect(maps.Keys(metadata))
		slices.Sort(keys)
		for i, k := range keys {
			v := metadata[k]
			if checked && k == checksumKey {
				continue
			}
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, errfmt.Errorf("metadata %q: key or value is not UTF-8", k)
			}
			if i > 0 || checked {
				b = append(b, ',')
			}
			b = append(appendQuote(b, k), ':')
			b = appendQuote(b, v)
		}
		b = append(b, '}')
	}
	offset := 0
	for i, t := range tensors {
		if i > 0 || metadata != nil || checked {
			b = append(b, ',')
		}
		b = append(appendQuote(b, t.Name), `:{"dtype":"`...)
		b = append(b, dtypes[rank[t.Name]].name...)
		b = append(b, `","shape":[`...)
		for axis, d := range t.Tensor.Shape() {
			if axis > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendInt(b, int64(offset), 10), ',')
		offset += len(t.Tensor.Bytes())
		b = append(strconv.AppendInt(b, int64(offset), 10), "]}"...)
	}
	b = append(b, '}')
	for len(b)%alignment != 0 {
		b = append(b, ' ')
	}
	length := len(b) - 8
	if length > MaxHeader {
		return nil, errfmt.Errorf("the header takes %d bytes, the limit is %d", length, MaxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(length))
	return b, nil
}

// appendQuote appends a JSON string that escapes only what it has to, as the reference implementation
// does.
func appendQuote(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		default:
			if c < ' ' {
				b = fmt.Appendf(b, `\u%04x`, c)
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}
