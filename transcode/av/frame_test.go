package av

import (
	"errors"
	"strings"
	"testing"
)

// mustPanic runs f and returns what it panics with.
func mustPanic(t *testing.T, f func()) (said string) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			said = r.(string)
			return
		}
		t.Error("no panic")
	}()
	f()
	return ""
}

func TestFramesAreCounted(t *testing.T) {
	before := FramesInUse()
	f, err := newFrame()
	if err != nil {
		t.Fatal(err)
	}
	g := f.Ref().Ref()
	if n := FramesInUse() - before; n != 1 {
		t.Errorf("%d frames in use, want 1", n)
	}
	f.Release()
	g.Release()
	if n := FramesInUse() - before; n != 1 {
		t.Errorf("%d frames in use with one reference left, want 1", n)
	}
	f.Release()
	if n := FramesInUse() - before; n != 0 {
		t.Errorf("%d frames in use after the last release, want 0", n)
	}
}

func TestReleasedFramesAreRefused(t *testing.T) {
	f, err := newFrame()
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	if said := mustPanic(t, f.Release); !strings.Contains(said, "released twice") {
		t.Errorf("panic %q", said)
	}
	if said := mustPanic(t, func() { f.Ref() }); !strings.Contains(said, "released frame") {
		t.Errorf("panic %q", said)
	}
}

func TestErrors(t *testing.T) {
	if err := check("x", 0); err != nil {
		t.Error(err)
	}
	err := check("decode packet", -1094995529)
	if !errors.Is(err, ErrInvalidData) || errors.Is(err, ErrEOF) {
		t.Errorf("%#v", err)
	}
	if want := "cannot decode packet: Invalid data found when processing input"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if testing.AllocsPerRun(100, func() { _ = check("receive", int32Code(ErrAgain)) }) > 0 {
		t.Error("ErrAgain allocates")
	}
}

func TestPixel(t *testing.T) {
	f := picture(t, 64, 48)
	defer f.Release()
	if said := mustPanic(t, func() { f.Pixel(3, 0, 0) }); !strings.Contains(said, "no plane 3") {
		t.Errorf("panic %q", said)
	}
}
