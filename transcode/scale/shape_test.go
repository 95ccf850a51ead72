package scale

import (
	"testing"

	"nova/transcode/av"
)

func TestFit(t *testing.T) {
	for _, c := range []struct {
		width, height, canvasWidth, canvasHeight int
		want                                     av.Rect
	}{
		{1920, 1080, 1280, 720, av.Rect{Width: 1280, Height: 720}},
		{1920, 1080, 854, 480, av.Rect{Width: 854, Height: 480}}, // 853.3: rounding, no bars
		{640, 480, 1280, 720, av.Rect{X: 160, Width: 960, Height: 720}},
		{1080, 1920, 1280, 720, av.Rect{X: 436, Width: 406, Height: 720}},
		{2560, 1080, 1280, 720, av.Rect{Y: 90, Width: 1280, Height: 540}},
		{1, 8000, 1280, 720, av.Rect{X: 638, Width: 2, Height: 720}},
		{8000, 1, 1280, 720, av.Rect{Y: 358, Width: 1280, Height: 2}},
	} {
		got := fit(c.width, c.height, c.canvasWidth, c.canvasHeight)
		if got != c.want {
			t.Errorf("fit(%d, %d, %d, %d) = %+v, want %+v", c.width, c.height, c.canvasWidth, c.canvasHeight, got, c.want)
		}
		if (got.X|got.Y|got.Width|got.Height)&1 != 0 || got.X+got.Width > c.canvasWidth || got.Y+got.Height > c.canvasHeight {
			t.Errorf("%+v is odd or outside %dx%d", got, c.canvasWidth, c.canvasHeight)
		}
	}
}

func TestGPUChain(t *testing.T) {
	s, err := NewGPU([]Rung{{"720p", 1280, 720}, {"480p", 854, 480}, {"360p", 640, 360}})
	if err != nil {
		t.Fatal(err)
	}
	spec, live := s.chain()
	want := "[in]scale_cuda=w=1280:h=720:format=nv12:interp_algo=bicubic,split=2[out0][next0];" +
		"[next0]scale_cuda=w=854:h=480:format=nv12:interp_algo=bicubic,split=2[out1][next1];" +
		"[next1]scale_cuda=w=640:h=360:format=nv12:interp_algo=bicubic[out2]"
	if spec != want || len(live) != 3 {
		t.Errorf("%s\nwant\n%s", spec, want)
	}
	s.SetActive(0, false)
	s.SetActive(2, false)
	s.fields = true
	spec, live = s.chain()
	want = "[in]bwdif_cuda=mode=send_frame:deint=interlaced[fields];[fields]scale_cuda=w=854:h=480:format=nv12:interp_algo=bicubic[out0]"
	if spec != want || len(live) != 1 || live[0] != 1 {
		t.Errorf("%s\nwant\n%s", spec, want)
	}
}
