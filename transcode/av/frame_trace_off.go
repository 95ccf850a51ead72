//go:build !novadebug

package av

import "fmt"

// frameTrace is empty: the build tag novadebug fills it.
type frameTrace struct{}

func (frameTrace) acquired(*Frame)       {}
func (frameTrace) released(*Frame)       {}
func (frameTrace) freed(*Frame)          {}
func (frameTrace) history(*Frame) string { return " (build with -tags novadebug to see where)" }

// Leaks tells how many frames are held. Built with the tag novadebug it also tells who acquired them; it is
// empty where there are none.
func Leaks() string {
	if n := FramesInUse(); n != 0 {
		return fmt.Sprintf("%d frames are held (build with -tags novadebug to see by whom)", n)
	}
	return ""
}
