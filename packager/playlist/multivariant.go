package playlist

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nova/internal/media"
	"nova/packager/present"
)

// Multivariant renders the multivariant playlist (§4.4.6): each video rendition as a variant with the audio
// group, best first, then the sound alone for players whose network carries no picture. Players that know
// nothing about their network start with the first.
//
// A variant's BANDWIDTH is the sum of its own peak and the audio group's: never less than what the two need
// together (§4.4.6.2).
func Multivariant(renditions []present.Rendition) []byte {
	videos, audios := split(renditions)
	b := append([]byte(nil), "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, Version, 10)
	b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	for i := range audios {
		b = appendAudio(b, &audios[i], i == 0)
	}
	for i := range videos {
		b = appendVariant(b, &videos[i], audios)
	}
	if len(audios) > 0 {
		b = appendVariant(b, &audios[0], audios[:1])
	}
	return b
}

// split sorts the renditions into videos from the best down and audios in the order given.
func split(renditions []present.Rendition) (videos, audios []present.Rendition) {
	for _, r := range renditions {
		if r.Kind == media.Audio {
			audios = append(audios, r)
		} else {
			videos = append(videos, r)
		}
	}
	slices.SortStableFunc(videos, func(a, b present.Rendition) int {
		return cmp.Or(cmp.Compare(b.Width*b.Height, a.Width*a.Height), cmp.Compare(b.Bandwidth, a.Bandwidth))
	})
	return videos, audios
}

// appendAudio writes EXT-X-MEDIA (§4.4.6.1) of one audio rendition.
func appendAudio(b []byte, r *present.Rendition, first bool) []byte {
	def := "NO"
	if first {
		def = "YES"
	}
	b = fmt.Appendf(b, `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="%s",NAME="%s",DEFAULT=%s,AUTOSELECT=YES`,
		AudioGroup, r.Name, def)
	if r.Channels > 0 {
		b = fmt.Appendf(b, `,CHANNELS="%d"`, r.Channels)
	}
	return fmt.Appendf(b, ",URI=\"%s/%s\"\n", r.Name, IndexName)
}

// appendVariant writes EXT-X-STREAM-INF (§4.4.6.2) of one rendition that plays with the given audio group.
func appendVariant(b []byte, r *present.Rendition, audios []present.Rendition) []byte {
	peak, average := r.Bandwidth, r.AverageBandwidth
	codecs := []string{r.Codecs}
	if r.Kind == media.Video {
		p, a := group(audios)
		peak, average = peak+p, average+a
		for i := range audios {
			if !slices.Contains(codecs, audios[i].Codecs) {
				codecs = append(codecs, audios[i].Codecs)
			}
		}
	}
	b = fmt.Appendf(b, `#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS="%s"`,
		max(peak, average, 1), max(average, 1), strings.Join(codecs, ","))
	if r.Width > 0 {
		b = fmt.Appendf(b, ",RESOLUTION=%dx%d", r.Width, r.Height)
	}
	if r.FrameRate > 0 {
		b = fmt.Appendf(b, ",FRAME-RATE=%.3f", r.FrameRate)
	}
	if len(audios) > 0 {
		b = fmt.Appendf(b, `,AUDIO="%s"`, AudioGroup)
	}
	return fmt.Appendf(b, "\n%s/%s\n", r.Name, IndexName)
}

// group is what the dearest rendition of the audio group needs.
func group(audios []present.Rendition) (peak, average int) {
	for i := range audios {
		peak = max(peak, audios[i].Bandwidth)
		average = max(average, audios[i].AverageBandwidth)
	}
	return peak, average
}
