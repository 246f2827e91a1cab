package plot_test

import (
	"bytes"
	"fmt"
	"image/png"
	"strings"

	"github.com/graphrun/graphrun/models/plot"
)

func ExampleCurves() {
	epochs := []float64{1, 2, 3, 4}
	var svg bytes.Buffer
	err := plot.Curves(&svg, plot.SVG, []plot.Panel{
		{Title: "loss", Series: []plot.Series{
			{Name: "training", X: epochs, Y: []float64{0.61, 0.22, 0.12, 0.08}},
			{Name: "validation", X: epochs, Y: []float64{0.35, 0.21, 0.17, 0.19}},
		}},
		{Title: "accuracy", Percent: true, Series: []plot.Series{
			{Name: "validation", X: epochs, Y: []float64{0.903, 0.941, 0.958, 0.955}},
		}},
	}, plot.CurvesOptions{Title: "lenet5", Best: 3})
	fmt.Println(err, strings.Contains(svg.String(), "epoch 3: validation 95.80 %"))
	// Output: <nil> true
}

func ExampleConfusion() {
	var picture bytes.Buffer
	counts := [][]int{{9, 1, 0}, {2, 7, 1}, {0, 0, 10}} // a row for each true class
	err := plot.Confusion(&picture, plot.PNG, counts, []string{"cat", "dog", "owl"}, plot.ConfusionOptions{})
	if err != nil {
		fmt.Println(err)
	}
	cfg, err := png.DecodeConfig(&picture)
	fmt.Println(cfg.Width > 600, err)
	// Output: true <nil>
}
