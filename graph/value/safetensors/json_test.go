package safetensors

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzString holds strings against encoding/json, which takes as an error what is one here.
func FuzzString(f *testing.F) {
	for _, text := range []string{
		`"conv1.weight"`, `""`, `"\"\\\/\b\f\n\r\t"`, `"\u00e9é"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`,
		`"\ude00x"`, `"\uZZZZ"`, `"\u12`, `"\x"`, `"\`, `"a`, "\"\x01\"", `"\u+123"`, `1`, `"a" "b"`, `null`, ``, `"\ud83d\n"`, `"\ud83d\uZZZZ"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // is refused before
		}
		if !json.Valid([]byte(text)) && slices.Contains([]byte(text), '"') {
			s := &scanner{text: text}
			if _, err := s.str(); err == nil && s.next() == 0 && s.at == len(text) {
				t.Fatalf("%q is no JSON", text)
			}
			return
		}
		var want string
		wrong := json.Unmarshal([]byte(text), &want) != nil || strings.Contains(text, "null") && want == ""
		s := &scanner{text: text}
		have, err := s.str()
		if wrong != (err != nil) || have != want {
			t.Fatalf("%q: have %q, %v, want %q, error %v", text, have, err, want, wrong)
		}
	})
}

// FuzzSizes holds arrays of sizes against encoding/json.
func FuzzSizes(f *testing.F) {
	for _, text := range []string{
		`[]`, `[ ]`, `[0]`, ` [1 , 2,3 ] `, `[01]`, `[-0]`, `[1.0]`, `[1e1]`, `[1,]`, `[,1]`, `[1`, `[`, `[1 2]`, `[9223372036854775807]`,
		`[9223372036854775808]`, `[null]`, `["1"]`, `[+1]`, `[[1]]`, `[0x1]`, `[1_0]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := &scanner{text: text}
		have, err := s.sizes()
		done := err == nil && s.next() == 0 && s.at == len(text)
		var want []*uint64
		wrong := json.Unmarshal([]byte(text), &want) != nil || want == nil
		for i, n := range want {
			wrong = wrong || n == nil || *n > 1<<63-1 || i < len(have) && uint64(have[i]) != *n
		}
		if done == wrong || done && len(have) != len(want) {
			t.Fatalf("%q: have %v, %v, want %v, error %v", text, have, err, want, wrong)
		}
	})
}
