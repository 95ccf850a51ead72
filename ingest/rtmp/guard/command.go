package guard

import (
	"errors"
	"fmt"
	"strings"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
)

// signature is how a command goes on to the session library, which ends the connection where an argument has
// another type than it expects.
type signature struct {
	// control tells that the command belongs on message stream 0.
	control bool
	// arguments rebuilds what follows the transaction id.
	arguments func(in []any) ([]any, error)
}

// commands are those that a publisher needs, and play so that it can be refused properly.
var commands = map[string]signature{
	"connect":       {true, connectArguments},
	"createStream":  {true, noArguments},
	"releaseStream": {true, nameArgument},
	"FCPublish":     {true, nameArgument},
	"FCUnpublish":   {true, nameArgument},
	"deleteStream":  {true, streamArgument},
	"publish":       {false, publishArguments},
	"play":          {false, playArguments},
	"closeStream":   {false, noArguments},
}

// command checks a command and rewrites it to its signature.
func (c *Conn) command(m chunk.Message) error {
	if m.Type == chunk.TypeCommandAMF3 {
		m = c.unwrapAMF3(m)
	}
	values, err := amf.Decode(m.Payload)
	if errors.Is(err, amf.ErrAMF3) {
		c.observer.Repaired(RepairAMF3)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read a command: %w", err)
	}
	name, ok := at(values, 0).(string)
	sig, known := commands[name]
	if !ok || !known {
		c.observer.Repaired(RepairUnknownCommand)
		return nil
	}
	arguments, err := sig.arguments(values[min(2, len(values)):])
	if err != nil {
		return &Violation{ReasonCommand, fmt.Errorf("command %s: %w", name, err)}
	}
	c.transaction = number(at(values, 1))
	c.scratch = amf.Append(c.scratch[:0], name, c.transaction)
	c.scratch = amf.Append(c.scratch, arguments...)
	c.emit(chunk.Message{
		Type: chunk.TypeCommandAMF0, Stream: sig.stream(m.Stream), Timestamp: m.Timestamp, Payload: c.scratch,
	})
	return nil
}

// stream puts a command on the message stream that it belongs to. Some encoders publish on stream 0: they mean
// the first one that createStream gave, which is 1.
func (s signature) stream(sent uint32) uint32 {
	if s.control {
		return 0
	}
	return max(sent, 1)
}

// maxString is the longest string of a command: an address with a signed key fits several times.
const maxString = 4096

var errNoName = errors.New("the stream's name is missing or is not a string")

func noArguments([]any) ([]any, error) { return []any{nil}, nil }

// connectArguments keeps the properties that the session uses. The rest is encoders' free choice, down to types
// that do not fit the property.
func connectArguments(in []any) ([]any, error) {
	from, ok := at(in, 0).(amf.Object)
	if !ok {
		return nil, errors.New("the command object is missing")
	}
	to := amf.Object{}
	for _, key := range []string{"app", "type", "flashVer", "tcUrl"} {
		if s, ok := from.Get(key).(string); ok {
			to = append(to, amf.Property{Key: key, Value: text(s)})
		}
	}
	return []any{to}, nil
}

// nameArgument tolerates a missing name: only publish needs one.
func nameArgument(in []any) ([]any, error) {
	name, _ := at(in, 1).(string)
	return []any{nil, text(name)}, nil
}

func publishArguments(in []any) ([]any, error) {
	name, ok := at(in, 1).(string)
	if !ok || len(name) > maxString {
		return nil, errNoName
	}
	return []any{nil, text(name), "live"}, nil
}

func playArguments(in []any) ([]any, error) {
	name, _ := at(in, 1).(string)
	return []any{nil, text(name), -2.0}, nil
}

func streamArgument(in []any) ([]any, error) {
	return []any{nil, number(at(in, 1))}, nil
}

// text makes s what the library accepts: valid UTF-8 of a bounded length.
func text(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxString)], "\ufffd")
}

// number is v where it is a number that an unsigned 32-bit integer holds, else 0.
func number(v any) float64 {
	if f, ok := v.(float64); ok && f >= 0 && f <= 0xffffffff {
		return f
	}
	return 0
}

// at is values[i]; nil past the end.
func at(values []any, i int) any {
	if i < len(values) {
		return values[i]
	}
	return nil
}
