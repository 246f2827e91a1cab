package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/graphrun/graphrun/models/data"
)

// modelClasses returns the classes by which the labels of data are numbered: the model's. Where it does not name any, labels that number its
// logits do so, and data of as many classes as it has logits, or for a model that has none, names them.
func (o *dataOptions) modelClasses(have []string) ([]string, error) {
	switch {
	case len(o.known) > 0:
		return o.known, nil
	case o.logits == 0:
		return have, nil
	}
	places := make([]string, o.logits)
	for i := range places {
		places[i] = strconv.Itoa(i)
	}
	strange := func(class string) bool { return placeOf(places, class) < 0 }
	switch {
	case !slices.ContainsFunc(have, strange):
		return places, nil
	case len(have) < o.logits:
		return nil, fmt.Errorf("it has the classes %s, but the model has %d and does not name them: --classes names all, in the model's order",
			someNames(have), o.logits)
	}
	return have, nil
}

// placeOf returns the place of a class among others, -1 if it is none of them. Numbers count by what they are worth.
func placeOf(classes []string, name string) int {
	if i := slices.Index(classes, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(classes, func(class string) bool { return data.SameNumber(class, name) })
}

// someNames lists the first of some names.
func someNames(names []string) string {
	const most = 10
	list := strings.Join(visible(names[:min(len(names), most)]), ", ")
	if len(names) > most {
		list += ", ..."
	}
	return list
}

// number gives the labels of a model's classes their places among these. Data that only numbers its classes, as arrays do, numbers those of
// a model whose classes are words.
func (ds *datasets) number(known []string) error {
	place := make([]int, len(ds.Classes))
	words := slices.ContainsFunc(known, func(name string) bool { _, err := strconv.ParseFloat(name, 64); return err != nil })
	same := true
	for i, name := range ds.Classes {
		switch {
		case !ds.unnamed || !words:
			place[i] = placeOf(known, name)
		case i < len(known):
			place[i] = i
		default:
			place[i] = -1
		}
		same = same && place[i] == i
	}
	for _, d := range ds.sets() {
		if same {
			break
		}
		r, err := data.Relabel(*d, known, place)
		if unknown, ok := errors.AsType[*data.UnknownClassError](err); ok {
			return fmt.Errorf("it has the class %q, which the model does not have: it has %s; --classes names the data's classes in the model's order",
				ds.Classes[unknown.Class], someNames(known))
		}
		if err != nil {
			return err
		}
		*d = r
	}
	ds.Classes = known
	return nil
}
