#include "shim.h"
#include <string.h>

// Decoders read up to AV_INPUT_BUFFER_PADDING_SIZE bytes past the end; av_new_packet provides and clears them.
int nova_packet_fill(AVPacket *pkt, const uint8_t *data, int size, int64_t pts, int64_t dts, int64_t duration,
                     int key, int mark) {
	int ret;
	av_packet_unref(pkt);
	if ((ret = av_new_packet(pkt, size)) < 0) return ret;
	memcpy(pkt->data, data, size);
	pkt->pts = pts;
	pkt->dts = dts;
	pkt->duration = duration;
	pkt->flags = key ? AV_PKT_FLAG_KEY : 0;
	pkt->opaque = (void *)(intptr_t)mark;
	return 0;
}
