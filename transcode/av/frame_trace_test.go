//go:build novadebug

package av

import (
	"strings"
	"testing"
)

func acquireHere() *Frame {
	f, err := newFrame()
	if err != nil {
		panic(err)
	}
	return f
}

func releaseHere(f *Frame)      { f.Release() }
func releaseHereAgain(f *Frame) { f.Release() }

func TestLeaksNameTheirStacks(t *testing.T) {
	if leaks := Leaks(); leaks != "" {
		t.Fatal(leaks)
	}
	f := acquireHere()
	g := f.Ref()
	releaseHere(f)
	leaks := Leaks()
	for _, want := range []string{"1 references", "1. acquired", "acquireHere", "2. acquired", "TestLeaksNameTheirStacks", "3. released", "releaseHere"} {
		if !strings.Contains(leaks, want) {
			t.Errorf("no %q in\n%s", want, leaks)
		}
	}
	g.Release()
	if leaks := Leaks(); leaks != "" {
		t.Error(leaks)
	}
}

func TestDoubleReleaseNamesItsStacks(t *testing.T) {
	f := acquireHere()
	releaseHere(f)
	said := mustPanic(t, func() { releaseHereAgain(f) })
	for _, want := range []string{"released twice", "acquireHere", "releaseHere\n", "releaseHereAgain"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}
