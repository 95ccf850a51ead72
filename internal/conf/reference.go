package conf

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Keys lists the settings of a configuration struct (or a pointer to one) in the order of its fields.
func Keys(config any) []Key {
	var keys []Key
	walk(reflect.Indirect(reflect.ValueOf(config)), "", &keys)
	return keys
}

func walk(v reflect.Value, prefix string, keys *[]Key) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "-" || (name == "" && !field.Anonymous) {
			continue
		}
		path := strings.TrimPrefix(prefix+"."+name, ".")
		if value.Kind() == reflect.Struct && !isText(value) {
			walk(value, path, keys)
			continue
		}
		*keys = append(*keys, Key{
			Path: path, Doc: field.Tag.Get("doc"), Default: text(value), value: value,
		})
	}
}

func isText(v reflect.Value) bool {
	_, ok := v.Interface().(fmt.Stringer)
	return ok
}

func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return shortDuration(x)
	case fmt.Stringer:
		return x.String()
	case string:
		return x
	default:
		if v.Kind() == reflect.Slice && v.Len() == 0 {
			return "[]"
		}
		if v.Kind() == reflect.Map && v.Len() == 0 {
			return "{}"
		}
		return fmt.Sprint(x)
	}
}

// shortDuration is 1m where time prints 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Reference writes a Markdown page of all keys.
func Reference(w io.Writer, config any) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("Defaults, then the file (`--config` or `$NOVA_CONFIG`), then `NOVA_…` variables, then `--set key=value`; ")
	b.WriteString("the last one wins. An unknown key is an error. This page is generated: `make docs`.\n")
	section := ""
	for _, k := range Keys(config) {
		if s, _, ok := strings.Cut(k.Path, "."); ok && s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| key | default | meaning |\n|---|---|---|\n", s)
		} else if !ok && section == "" {
			section = " "
			b.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, code(k.Default), strings.ReplaceAll(k.Doc, "|", `\|`))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// Sample writes a YAML file that states every default, each under its meaning.
func Sample(w io.Writer, config any) error {
	var b strings.Builder
	b.WriteString("# Every setting with its default. Keep what you change, drop the rest.\n")
	var open []string
	for _, k := range Keys(config) {
		parts := strings.Split(k.Path, ".")
		depth := 0
		for depth < len(open) && depth < len(parts)-1 && open[depth] == parts[depth] {
			depth++
		}
		open = append(open[:depth:depth], parts[depth:len(parts)-1]...)
		for ; depth < len(open); depth++ {
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", depth), open[depth])
		}
		indent := strings.Repeat("  ", depth)
		fmt.Fprintf(&b, "%s# %s\n%s%s: %s\n", indent, k.Doc, indent, parts[depth], yamlValue(k))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yamlValue(k Key) string {
	switch k.value.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", k.Default)
	case reflect.Slice:
		return yamlList(k.value)
	default:
		return k.Default
	}
}

func yamlList(v reflect.Value) string {
	var items []string
	for i := range v.Len() {
		item := v.Index(i)
		if item.Kind() == reflect.Struct {
			items = append(items, yamlStruct(item))
			continue
		}
		items = append(items, text(item))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func yamlStruct(v reflect.Value) string {
	var keys []Key
	walk(v, "", &keys)
	var fields []string
	for _, k := range keys {
		fields = append(fields, k.Path+": "+yamlValue(k))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}
