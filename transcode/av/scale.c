#include "shim.h"

static int subsampled(enum AVPixelFormat fmt) {
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fmt);
	return d && d->log2_chroma_h == 1;
}

struct SwsContext *nova_sws_new(int sw, int sh, enum AVPixelFormat sf, int srange, int smatrix,
                                int dw, int dh, enum AVPixelFormat df, int drange, int dmatrix,
                                int flags, int threads) {
	struct SwsContext *s = sws_alloc_context();
	if (!s) return NULL;
	av_opt_set_int(s, "srcw", sw, 0);
	av_opt_set_int(s, "srch", sh, 0);
	av_opt_set_int(s, "src_format", sf, 0);
	av_opt_set_int(s, "src_range", srange, 0);
	av_opt_set_int(s, "dstw", dw, 0);
	av_opt_set_int(s, "dsth", dh, 0);
	av_opt_set_int(s, "dst_format", df, 0);
	av_opt_set_int(s, "dst_range", drange, 0);
	av_opt_set_int(s, "sws_flags", flags, 0);
	av_opt_set_int(s, "threads", threads, 0);
	// 4:2:0 chroma of progressive pictures lies between two lines: the middle, in 1/256 of a line.
	if (subsampled(sf)) av_opt_set_int(s, "src_v_chr_pos", 128, 0);
	if (subsampled(df)) av_opt_set_int(s, "dst_v_chr_pos", 128, 0);
	if (sws_init_context(s, NULL, NULL) < 0 ||
	    sws_setColorspaceDetails(s, sws_getCoefficients(smatrix), srange, sws_getCoefficients(dmatrix), drange,
	                             0, 1 << 16, 1 << 16) < 0) {
		sws_freeContext(s);
		return NULL;
	}
	return s;
}

// Scales the whole of src to the rectangle of dst that starts at (x, y), both even.
int nova_sws_scale(struct SwsContext *s, const AVFrame *src, AVFrame *dst, int x, int y) {
	uint8_t *data[4] = {
		dst->data[0] + y * dst->linesize[0] + x,
		dst->data[1] + y / 2 * dst->linesize[1] + x / 2,
		dst->data[2] + y / 2 * dst->linesize[2] + x / 2,
	};
	return sws_scale(s, (const uint8_t *const *)src->data, src->linesize, 0, src->height, data, dst->linesize);
}
