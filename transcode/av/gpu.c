#include "shim.h"

// A picture in the device's memory, from a pool of its own: what an encoder is opened with when it is tried.
AVFrame *nova_gpu_frame(AVBufferRef *device, int w, int h) {
	AVBufferRef *pool = av_hwframe_ctx_alloc(device);
	AVFrame *f = av_frame_alloc();
	if (pool) {
		AVHWFramesContext *frames = (AVHWFramesContext *)pool->data;
		frames->format = AV_PIX_FMT_CUDA;
		frames->sw_format = AV_PIX_FMT_NV12;
		frames->width = w;
		frames->height = h;
	}
	if (!pool || !f || av_hwframe_ctx_init(pool) < 0 || av_hwframe_get_buffer(pool, f, 0) < 0) av_frame_free(&f);
	av_buffer_unref(&pool);
	return f;
}
