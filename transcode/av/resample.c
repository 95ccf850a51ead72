#include "shim.h"

// Whatever came to stereo planar float. Sums of channels stay within full scale, as encoders clip above it.
int nova_swr_new(struct SwrContext **s, const AVFrame *f, int rate) {
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO, in = {0};
	int ret;
	if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) av_channel_layout_default(&in, f->ch_layout.nb_channels);
	else if ((ret = av_channel_layout_copy(&in, &f->ch_layout)) < 0) return ret;
	ret = swr_alloc_set_opts2(s, &stereo, AV_SAMPLE_FMT_FLTP, rate, &in, f->format, f->sample_rate, 0, NULL);
	av_channel_layout_uninit(&in);
	if (ret < 0) return ret;
	av_opt_set_double(*s, "rematrix_maxval", 1.0, 0);
	return swr_init(*s);
}

// Converts f, or what the resampler still holds where f is NULL, and appends all but the first skip samples.
int nova_swr_write(struct SwrContext *s, AVAudioFifo *fifo, const AVFrame *f, int rate, int skip) {
	AVFrame *out = av_frame_alloc();
	int n = swr_get_out_samples(s, f ? f->nb_samples : 0), ret = AVERROR(ENOMEM);
	uint8_t *from[2];
	if (!out) return ret;
	out->format = AV_SAMPLE_FMT_FLTP;
	out->sample_rate = rate;
	out->nb_samples = n > 0 ? n : 1;
	av_channel_layout_default(&out->ch_layout, 2);
	if ((ret = av_frame_get_buffer(out, 0)) < 0) goto end;
	ret = swr_convert(s, out->data, out->nb_samples, f ? (const uint8_t **)f->extended_data : NULL, f ? f->nb_samples : 0);
	if (ret > skip) {
		from[0] = out->data[0] + skip * sizeof(float);
		from[1] = out->data[1] + skip * sizeof(float);
		ret = av_audio_fifo_write(fifo, (void **)from, ret - skip);
	}
end:
	av_frame_free(&out);
	return ret;
}

int nova_fifo_silence(AVAudioFifo *fifo, int n) {
	static const float zeros[1024];
	void *from[2] = {(void *)zeros, (void *)zeros};
	int ret = 0;
	for (; n > 0 && ret >= 0; n -= 1024) ret = av_audio_fifo_write(fifo, from, n < 1024 ? n : 1024);
	return ret;
}

AVFrame *nova_fifo_read(AVAudioFifo *fifo, int n, int rate) {
	AVFrame *f = av_frame_alloc();
	if (!f) return NULL;
	f->format = AV_SAMPLE_FMT_FLTP;
	f->sample_rate = rate;
	f->nb_samples = n;
	av_channel_layout_default(&f->ch_layout, 2);
	if (av_frame_get_buffer(f, 0) < 0 || av_audio_fifo_read(fifo, (void **)f->data, n) < n) av_frame_free(&f);
	return f;
}
