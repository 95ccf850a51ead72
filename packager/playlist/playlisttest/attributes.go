package playlisttest

import (
	"fmt"
	"strings"
)

// attributes reads an attribute list (§4.2). Values keep their quotes.
func attributes(s string) (map[string]string, error) {
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return nil, fmt.Errorf("attribute name %q", name)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("attribute %s stands twice", name)
		}
		value, after, err := attribute(rest)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		out[name], s = value, after
	}
	return out, nil
}

// attribute takes one value off the list.
func attribute(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		end := strings.Index(s[1:], `"`)
		if end < 0 {
			return "", "", fmt.Errorf("quote is not closed")
		}
		value, rest = s[:end+2], s[end+2:]
		if rest != "" && !strings.HasPrefix(rest, ",") {
			return "", "", fmt.Errorf("%q behind the quote", rest)
		}
		return value, strings.TrimPrefix(rest, ","), nil
	}
	value, rest, _ = strings.Cut(s, ",")
	if value == "" || strings.ContainsAny(value, `" `) {
		return "", "", fmt.Errorf("value %q", value)
	}
	return value, rest, nil
}
