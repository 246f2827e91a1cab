package safetensors

import (
	"encoding/binary"
	"sync"
)

// WriteChecked begins the header of a file with checkedHeader, and the digits of the checksum follow. While it is computed, they are noChecksum.
const (
	checksumKey   = "crc32"
	checkedHeader = `{ "` + metadataKey + `":{"` + checksumKey + `":"`
	noChecksum    = "00000000"
)

// appendDigits appends a checksum as text.
func appendDigits(b []byte, crc uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[crc>>shift&15])
	}
	return b
}

// crcTables are what eight bytes add to a CRC-32 (IEEE 802.3), by their place. Package hash/crc32 would make a program that reads weights 10 kB
// larger.
var (
	crcTables [8][256]uint32
	crcOnce   sync.Once
)

func fillTables() {
	t := &crcTables
	for i := range t[0] {
		c := uint32(i)
		for range 8 {
			c = c>>1 ^ 0xedb88320&-(c&1)
		}
		t[0][i] = c
	}
	for i, c := range t[0] {
		for k := 1; k < 8; k++ {
			c = t[0][byte(c)] ^ c>>8
			t[k][i] = c
		}
	}
}

// crc adds bytes to a checksum, 0 before the first.
func crc(sum uint32, b []byte) uint32 {
	crcOnce.Do(fillTables)
	t := &crcTables
	sum = ^sum
	for ; len(b) >= 8; b = b[8:] {
		v := binary.LittleEndian.Uint64(b) ^ uint64(sum)
		sum = t[7][byte(v)] ^ t[6][byte(v>>8)] ^ t[5][byte(v>>16)] ^ t[4][byte(v>>24)] ^
			t[3][byte(v>>32)] ^ t[2][byte(v>>40)] ^ t[1][byte(v>>48)] ^ t[0][byte(v>>56)]
	}
	for _, c := range b {
		sum = t[0][byte(sum)^c] ^ sum>>8
	}
	return ^sum
}

// sum is the checksum of a file that is being read.
type sum struct {
	want string // "" for a file that has none
	have uint32
}

// newSum begins the checksum of a file with its header.
func newSum(prefix, header []byte) sum {
	const at, end = len(checkedHeader), len(checkedHeader) + len(noChecksum)
	if len(header) < end || string(header[:at]) != checkedHeader {
		return sum{}
	}
	s := sum{want: string(header[at:end])}
	s.add(prefix)
	s.add(header[:at])
	s.add([]byte(noChecksum))
	s.add(header[end:])
	return s
}

func (s *sum) add(b []byte) {
	if s.want != "" {
		s.have = crc(s.have, b)
	}
}

func (s *sum) holds() bool { return string(appendDigits(nil, s.have)) == s.want }
