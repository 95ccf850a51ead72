#include "shim.h"

// The scratch frame takes a reference, so that the type and the time can be set although f is shared.
int nova_encoder_send(AVCodecContext *c, AVFrame *scratch, const AVFrame *f, int64_t pts, int key) {
	int ret;
	if (!f) return avcodec_send_frame(c, NULL);
	av_frame_unref(scratch);
	if ((ret = av_frame_ref(scratch, f)) < 0) return ret;
	scratch->pts = pts;
	scratch->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
	ret = avcodec_send_frame(c, scratch);
	av_frame_unref(scratch);
	return ret;
}

void nova_decoder_setup(AVCodecContext *c, int timescale, int reorder, int channels) {
	c->pkt_timebase = (AVRational){1, timescale};
	c->flags |= AV_CODEC_FLAG_COPY_OPAQUE;
	c->has_b_frames = reorder;
	if (channels > 0) av_channel_layout_default(&c->ch_layout, channels);
}

static enum AVPixelFormat only_cuda(AVCodecContext *c, const enum AVPixelFormat *fmts) {
	for (; *fmts != AV_PIX_FMT_NONE; fmts++)
		if (*fmts == AV_PIX_FMT_CUDA) return *fmts;
	av_log(c, AV_LOG_ERROR, "the GPU cannot decode this stream\n");
	return AV_PIX_FMT_NONE;
}

// No software format is ever chosen: a GPU worker does not fall back to the CPU.
void nova_decoder_use_cuda(AVCodecContext *c, AVBufferRef *device) {
	c->hw_device_ctx = av_buffer_ref(device);
	c->get_format = only_cuda;
	c->extra_hw_frames = 16; // scaled frames are copies, source frames wait in queues
}
