// Package conf loads a service's configuration: defaults, then a YAML file, then NOVA_… variables, then --set
// flags; the last one wins and a key that nobody knows is an error.
//
//	Config struct with yaml: and doc: tags ─┬─▶ Load      the values
//	                                        ├─▶ Reference the page of all keys
//	                                        └─▶ Sample    a file with every default
//
// A variable's name is its key in capitals with underscores: ingest.rtmp.address is NOVA_INGEST_RTMP_ADDRESS.
package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Validator is a configuration that can tell what is wrong with it: the field and the reason.
type Validator interface{ Validate() error }

// Sources says where values come from besides the defaults.
type Sources struct {
	// File is a YAML file; empty means none.
	File string
	// Environ is os.Environ() or a test's.
	Environ []string
	// Set are "key=value" pairs from flags.
	Set []string
	// Ignore are names of NOVA_… variables that are no configuration.
	Ignore []string
}

// Load fills into, which holds the defaults, and validates it.
func Load(into Validator, from Sources) error {
	k := koanf.New(".")
	known := Keys(into)
	if from.File != "" {
		if err := k.Load(file.Provider(from.File), yaml.Parser()); err != nil {
			return fmt.Errorf("cannot read configuration %s: %w", from.File, err)
		}
		if err := checkKnown(k.Keys(), known, from.File); err != nil {
			return err
		}
	}
	env, err := fromEnviron(known, from)
	if err != nil {
		return err
	}
	set, err := fromSet(known, from.Set)
	if err != nil {
		return err
	}
	for _, values := range []map[string]any{env, set} {
		if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
			return fmt.Errorf("cannot merge configuration: %w", err)
		}
	}
	if err := unmarshal(k, into); err != nil {
		return err
	}
	return into.Validate()
}

func unmarshal(k *koanf.Koanf, into any) error {
	decoder := &mapstructure.DecoderConfig{
		Result:           into,
		TagName:          "yaml",
		ErrorUnused:      true,
		WeaklyTypedInput: true,
		ZeroFields:       true, // a list in the file replaces the default list
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
	}
	if err := k.UnmarshalWithConf("", into, koanf.UnmarshalConf{Tag: "yaml", DecoderConfig: decoder}); err != nil {
		return fmt.Errorf("cannot use configuration: %w", err)
	}
	return nil
}

func checkKnown(keys []string, known []Key, where string) error {
	for _, key := range keys {
		if !slices.ContainsFunc(known, func(k Key) bool { return k.covers(key) }) {
			return fmt.Errorf("%s: unknown key %q%s", where, key, suggestion(key, known))
		}
	}
	return nil
}

func fromEnviron(known []Key, from Sources) (map[string]any, error) {
	values := map[string]any{}
	for _, pair := range from.Environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "NOVA_") || slices.Contains(from.Ignore, name) {
			continue
		}
		i := slices.IndexFunc(known, func(k Key) bool { return k.Env() == name })
		if i < 0 {
			return nil, fmt.Errorf("environment: unknown variable %s", name)
		}
		values[known[i].Path] = value
	}
	return values, nil
}

func fromSet(known []Key, pairs []string) (map[string]any, error) {
	values := map[string]any{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("--set %q: want key=value", pair)
		}
		if err := checkKnown([]string{key}, known, "--set"); err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

// suggestion names the known key that differs least, where one is near.
func suggestion(key string, known []Key) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, k := range known {
		if k.Path[strings.LastIndexByte(k.Path, '.')+1:] == last {
			return fmt.Sprintf(" (did you mean %q?)", k.Path)
		}
	}
	return ""
}

// Key is one setting.
type Key struct {
	// Path is the dotted key.
	Path string
	// Doc is what the doc: tag says.
	Doc string
	// Default is the default as text.
	Default string

	value reflect.Value
}

// Env is the environment variable of the key.
func (k Key) Env() string { return "NOVA_" + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")) }

// covers tells whether key is k or lies below it: below a map or a list everything is the value's own.
func (k Key) covers(key string) bool { return key == k.Path || strings.HasPrefix(key, k.Path+".") }
