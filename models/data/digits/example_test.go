package digits_test

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data/digits"
)

// Images can be looked at: here two rows of pixels are a line of text.
func Example() {
	images, err := digits.Generate(digits.Options{N: 100, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	img, label, err := images.Gray(2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("image 2 of", images.Len(), "shows a", label)
	for y := 4; y < 28; y += 2 {
		line := ""
		for x := range 28 {
			light := int(img.GrayAt(x, y).Y) + int(img.GrayAt(x, y+1).Y)
			line += string(" .:+#"[light*5/511])
		}
		fmt.Println(strings.TrimRight(line, " "))
	}
	// Output:
	// image 2 of 100 shows a 2
	//         +++:::+#+
	//        .#.     :##
	//         +      .##
	//                +#:
	//              .+#.
	//             +#:
	//           :#:
	//         .++
	//         ##++++++###.
	//         .....
}

// A set for a test that must be quick, in fonts that a model trained on the others has not seen.
func ExampleGenerate() {
	images, err := digits.Generate(digits.Options{N: 60, Seed: 2, Fonts: digits.HeldOutFonts()})
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y, err := images.Item(13)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(images.Len(), "images of", x.DType(), x.Shape(), "and", y.DType(), y.Shape())
	class, err := value.Item[int64](y)
	fmt.Println("image 13 shows a", images.Classes()[class], err)
	// Output:
	// 60 images of f32 [1 28 28] and i64 []
	// image 13 shows a 3 <nil>
}
