package data

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"math"
	"strings"
	"testing"
)

// What Pillow 13.0.0 makes of pictures, by convert to RGB or L.
func TestPicturesAsPillow(t *testing.T) {
	for _, c := range []struct {
		name, file string
		shape      []int
		want       string
		off        int // how far bytes of a JPEG may be off: decoders round differently
	}{
		{
			"a JPEG of CMYK", "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD9XK+lK+e6/YSv/9k=",
			[]int{3, 8, 8},
			strings.Repeat("190 ", 64) + strings.Repeat("146 ", 64) + strings.Repeat("84 ", 64), 1,
		},
	} {
		file, err := base64.StdEncoding.DecodeString(c.file)
		if err != nil {
			t.Fatal(err)
		}
		img, err := DecodePicture(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := Pixels(img, c.shape[0], img.Bounds().Dy(), img.Bounds().Dx())
		if err != nil || fmt.Sprint(got.Shape()) != fmt.Sprint(c.shape) {
			t.Errorf("%s: %v, %v", c.name, got, err)
			continue
		}
		for i, want := range strings.Fields(c.want) {
			var w int
			if _, err := fmt.Sscan(want, &w); err != nil {
				t.Fatal(err)
			}
			if d := int(got.Bytes()[i]) - w; d > c.off || d < -c.off {
				t.Errorf("%s: byte %d is %d, want %d", c.name, i, got.Bytes()[i], w)
			}
		}
	}
}

// What a GIF's frame leaves of its canvas is transparent where it has a transparent colour.
func TestTransparentCanvas(t *testing.T) {
	frame := image.NewPaletted(image.Rect(1, 2, 3, 3), color.Palette{color.White, color.Transparent})
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 4, Height: 3}})
	if err != nil {
		t.Fatal(err)
	}
	img, err := DecodePicture(&b)
	if err != nil || img.Bounds() != image.Rect(0, 0, 4, 3) {
		t.Fatal(img, err)
	}
	for y := range 3 {
		for x := range 4 {
			_, _, _, alpha := img.At(x, y).RGBA()
			if inside := y == 2 && x >= 1 && x < 3; inside != (alpha > 0) {
				t.Errorf("%d, %d: alpha %d", x, y, alpha)
			}
		}
	}
}

// A picture is not turned as its EXIF data says, as in torchvision's ImageFolder: two squares beside each other stay so.
func TestOrientation(t *testing.T) {
	const file = `/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAIABADAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwCpX4ef0gfnLX9Bn8vn/9k=`
	b, err := base64.StdEncoding.DecodeString(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := DecodePicture(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	near := func(x, y, red int) bool {
		r, _, _, _ := img.At(x, y).RGBA()
		return int(r>>8) >= red-2 && int(r>>8) <= red+2
	}
	if img.Bounds() != image.Rect(0, 0, 16, 8) || !near(0, 0, 200) || !near(0, 7, 200) || !near(15, 0, 10) {
		t.Error(img.Bounds(), img.At(0, 0), img.At(15, 0))
	}
}

// Pixels takes no memory for sizes that no memory has.
func TestPixelsErrors(t *testing.T) {
	one := image.NewGray(image.Rect(0, 0, 1, 1))
	wide := &image.Uniform{C: color.White} // without end
	for _, c := range []struct {
		img                     image.Image
		channels, height, width int
		want                    string
	}{
		{nil, 1, 1, 1, "the picture is nil"},
		{one, 2, 1, 1, "a picture has 1 or 3 channels, not 2"},
		{one, 3, -1, 1, "a picture of 1 x -1 pixels: want no negative size"},
		{one, 3, 1 << 30, 1 << 30, "making 1073741824 x 1073741824 pixels of 1 x 1 would take "},
		{one, 1, math.MaxInt, math.MaxInt, "making "},
		{one, 3, 1, math.MaxInt, "making "},
		{wide, 1, 28, 28, "making 28 x 28 pixels of 2000000000 x 2000000000 would take "},
	} {
		if x, err := Pixels(c.img, c.channels, c.height, c.width); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, %v\nwant %s", x, err, c.want)
		}
	}
	if x, err := Pixels(one, 3, 0, 5); err != nil || x.Len() != 0 {
		t.Error(x, err)
	}
}
