package relay

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	mediav1 "nova/internal/pb/nova/media/v1"
)

// fill sets every field of v to something that is not its zero value, each to another one.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1700000000, *n)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(strings.Repeat("x", int(*n)))
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint8:
		v.SetUint(uint64(*n)%3 + 1) // a valid Kind
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("cannot fill a %v", v.Type())
	}
}

// Every field survives the wire: one that is added to media or to Info and forgotten here fails.
func TestEveryFieldSurvives(t *testing.T) {
	var n int64
	var info Info
	var tracks []media.Track
	var unit *media.AccessUnit
	fill(t, reflect.ValueOf(&info).Elem(), &n)
	fill(t, reflect.ValueOf(&tracks).Elem(), &n)
	fill(t, reflect.ValueOf(&unit).Elem(), &n)
	enc, dec := newToProto(), &fromProto{}
	if _, _, err := dec.message(enc.info(info)[0]); err != nil || !reflect.DeepEqual(dec.info, info) {
		t.Errorf("info %+v (%v), want %+v", dec.info, err, info)
	}
	for _, want := range []Item{{Tracks: tracks}, {Unit: unit, Lost: 7}, {Tracks: []media.Track{}, Lost: 1}} {
		got := pass(t, enc, dec, want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// pass sends an item through the messages.
func pass(t *testing.T, enc *toProto, dec *fromProto, item Item) Item {
	t.Helper()
	messages, err := enc.item(item)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		got, ok, err := dec.message(m)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return got
		}
	}
	t.Fatal("the messages made no item")
	return Item{}
}

// A configuration is sent once while it is in use, and again after many others.
func TestConfigWindow(t *testing.T) {
	enc, dec := newToProto(), &fromProto{}
	if _, _, err := dec.message(enc.info(Info{Stream: "demo"})[0]); err != nil {
		t.Fatal(err)
	}
	configs := make([]*media.CodecConfig, 3*configWindow)
	for i := range configs {
		configs[i] = &media.CodecConfig{Codec: media.H264, Width: i}
	}
	sent := 0
	send := func(i int) {
		got := pass(t, enc, dec, Item{Unit: &media.AccessUnit{Config: configs[i]}})
		if got.Unit.Config.Width != i {
			t.Fatalf("configuration %d arrived as %d", i, got.Unit.Config.Width)
		}
		sent += len(enc.messages) - 1
	}
	for i := range configWindow {
		send(i)
		send(0)
	}
	if sent != configWindow {
		t.Errorf("%d configurations sent, want each once", sent)
	}
	for round := range 2 {
		for i := range configs {
			send((i + round) % len(configs))
		}
	}
}

func TestFromProtoRefuses(t *testing.T) {
	info := &mediav1.SubscribeResponse{Item: &mediav1.SubscribeResponse_Info{Info: &mediav1.Info{Stream: "demo"}}}
	unit := func(config uint64) *mediav1.SubscribeResponse {
		return &mediav1.SubscribeResponse{Item: &mediav1.SubscribeResponse_Unit{Unit: &mediav1.Unit{ConfigId: config}}}
	}
	track := func(tr *mediav1.Track) *mediav1.SubscribeResponse {
		return &mediav1.SubscribeResponse{Item: &mediav1.SubscribeResponse_Tracks{
			Tracks: &mediav1.TrackList{Tracks: []*mediav1.Track{tr}},
		}}
	}
	video := mediav1.Kind_KIND_VIDEO
	tooLate := unit(0)
	tooLate.Lost = 1 << 40
	for name, c := range map[string]struct {
		messages []*mediav1.SubscribeResponse
		want     string
	}{
		"unit before info":  {[]*mediav1.SubscribeResponse{unit(0)}, "first message"},
		"two infos":         {[]*mediav1.SubscribeResponse{info, info}, "first message"},
		"nameless":          {[]*mediav1.SubscribeResponse{{Item: &mediav1.SubscribeResponse_Info{}}}, "first message"},
		"empty name":        {[]*mediav1.SubscribeResponse{{Item: &mediav1.SubscribeResponse_Info{Info: &mediav1.Info{}}}}, "stream"},
		"nothing":           {[]*mediav1.SubscribeResponse{info, {}}, "without an item"},
		"config of nowhere": {[]*mediav1.SubscribeResponse{info, unit(5)}, "config_id"},
		"config without id": {[]*mediav1.SubscribeResponse{info, {Item: &mediav1.SubscribeResponse_Config{}}}, "id"},
		"kind":              {[]*mediav1.SubscribeResponse{info, track(&mediav1.Track{Timescale: 1})}, "kind"},
		"timescale":         {[]*mediav1.SubscribeResponse{info, track(&mediav1.Track{Kind: video})}, "timescale"},
		"track's config":    {[]*mediav1.SubscribeResponse{info, track(&mediav1.Track{Kind: video, Timescale: 1, ConfigId: 3})}, "config_id"},
		"lost":              {[]*mediav1.SubscribeResponse{info, tooLate}, "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			var dec fromProto
			var err error
			for _, m := range c.messages {
				_, _, err = dec.message(m)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that names %q", err, c.want)
			}
		})
	}
}

func TestToProtoRefusesHalfItems(t *testing.T) {
	for _, item := range []Item{{}, {Tracks: []media.Track{}, Unit: &media.AccessUnit{}}} {
		if _, err := newToProto().item(item); err == nil {
			t.Errorf("item %+v must be refused", item)
		}
	}
}
