package av

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asticode/go-astiav"
)

// Options are libav options by name. A name that nothing uses is an error: libav alone would ignore a typo.
type Options map[string]string

// UnusedError names options that an opened object did not know.
type UnusedError struct {
	Object string
	Names  []string
}

func (e *UnusedError) Error() string {
	return fmt.Sprintf("%s has no option %s", e.Object, strings.Join(e.Names, ", "))
}

// with opens an object with the options and reports those that were left over.
func (o Options) with(object string, open func(*astiav.Dictionary) error) error {
	dict := astiav.NewDictionary()
	defer dict.Free()
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if err := dict.Set(name, o[name], astiav.NewDictionaryFlags()); err != nil {
			return wrap("set option "+name, err)
		}
	}
	if err := open(dict); err != nil {
		return wrap("open "+object, err)
	}
	if names := unused(dict); len(names) > 0 {
		return &UnusedError{Object: object, Names: names}
	}
	return nil
}

func unused(dict *astiav.Dictionary) []string {
	var names []string
	flags := astiav.NewDictionaryFlags(astiav.DictionaryFlagIgnoreSuffix)
	for e := dict.Get("", nil, flags); e != nil; e = dict.Get("", e, flags) {
		names = append(names, e.Key())
	}
	return names
}
