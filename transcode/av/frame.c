#include "shim.h"
#include <string.h>

int nova_frame_mark(const AVFrame *f) { return (int)(intptr_t)f->opaque; }

// How the picture must be turned to stand upright: quarter turns clockwise in bits 0-1, then
// mirrored left to right where bit 2 is set.
int nova_frame_turn(const AVFrame *f) {
	const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
	int32_t m[9];
	double angle;
	int quarters, mirrored;
	if (!sd || sd->size < sizeof m) return 0;
	memcpy(m, sd->data, sizeof m);
	// A negative determinant mirrors. Undoing that on the right leaves the turn that comes before it.
	mirrored = (int64_t)m[0] * m[4] - (int64_t)m[1] * m[3] < 0;
	if (mirrored) av_display_matrix_flip(m, 1, 0);
	angle = av_display_rotation_get(m); // counter-clockwise
	if (angle != angle) return 0;
	quarters = (int)((-angle + 360 + 45) / 90) & 3;
	return quarters | mirrored << 2;
}

// What was turned and deinterlaced no longer says that it wants to be.
void nova_frame_upright(AVFrame *f) {
	av_frame_remove_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
	f->flags &= ~(AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST);
}

// Everything but the picture. The display matrix stays behind: a scaled frame has been turned already.
void nova_frame_copy_props(AVFrame *dst, const AVFrame *src) {
	av_frame_copy_props(dst, src);
	nova_frame_upright(dst);
	dst->crop_left = dst->crop_right = dst->crop_top = dst->crop_bottom = 0;
}

enum { ALIGN = 64 }; // AVX-512; swscale and x264 take their fast paths from 32 on

int nova_pool_size(enum AVPixelFormat fmt, int w, int h) {
	int n = av_image_get_buffer_size(fmt, FFALIGN(w, ALIGN), h, ALIGN);
	return n < 0 ? n : n + ALIGN;
}

// A frame from the pool. Pools spare the page faults of a fresh mapping per picture.
AVFrame *nova_frame_video(AVBufferPool *pool, enum AVPixelFormat fmt, int w, int h) {
	AVFrame *f = av_frame_alloc();
	if (!f) return NULL;
	f->format = fmt;
	f->width = w;
	f->height = h;
	if (!(f->buf[0] = av_buffer_pool_get(pool)) ||
	    av_image_fill_arrays(f->data, f->linesize, f->buf[0]->data, fmt, FFALIGN(w, ALIGN), h, ALIGN) < 0)
		av_frame_free(&f);
	return f;
}

int nova_frame_black(AVFrame *f) {
	ptrdiff_t linesize[4] = {f->linesize[0], f->linesize[1], f->linesize[2], f->linesize[3]};
	return av_image_fill_black(f->data, linesize, f->format, f->color_range, f->width, f->height);
}

// One sample of an 8-bit planar picture, for tests and thumbnails of nothing but numbers.
int nova_frame_pixel(const AVFrame *f, int plane, int x, int y) { return f->data[plane][y * f->linesize[plane] + x]; }

// A grey picture, for tests.
AVFrame *nova_frame_grey(int w, int h) {
	AVFrame *f = av_frame_alloc();
	if (!f) return NULL;
	f->format = AV_PIX_FMT_YUV420P;
	f->width = w;
	f->height = h;
	if (av_frame_get_buffer(f, 0) < 0) {
		av_frame_free(&f);
		return NULL;
	}
	memset(f->data[0], 128, f->linesize[0] * h);
	memset(f->data[1], 128, f->linesize[1] * ((h + 1) / 2));
	memset(f->data[2], 128, f->linesize[2] * ((h + 1) / 2));
	return f;
}
