// What go-astiav does not offer, or does unsafely: see each function in the file named above it.
#ifndef NOVA_AV_SHIM_H
#define NOVA_AV_SHIM_H

#include <errno.h>
#include <stdint.h>
#include <libavcodec/avcodec.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/hwcontext.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// log.c
void nova_log_install(int level);
void nova_log_test(int level, const char *text);
void nova_log_reset(void);

// packet.c
int nova_packet_fill(AVPacket *pkt, const uint8_t *data, int size, int64_t pts, int64_t dts, int64_t duration,
                     int key, int mark);

// frame.c
int nova_frame_mark(const AVFrame *f);
int nova_frame_turn(const AVFrame *f);
void nova_frame_upright(AVFrame *f);
void nova_frame_copy_props(AVFrame *dst, const AVFrame *src);
AVFrame *nova_frame_video(AVBufferPool *pool, enum AVPixelFormat fmt, int w, int h);
int nova_pool_size(enum AVPixelFormat fmt, int w, int h);
int nova_frame_black(AVFrame *f);
AVFrame *nova_frame_grey(int w, int h);
int nova_frame_pixel(const AVFrame *f, int plane, int x, int y);

// codec.c
int nova_encoder_send(AVCodecContext *c, AVFrame *scratch, const AVFrame *f, int64_t pts, int key);
void nova_decoder_setup(AVCodecContext *c, int timescale, int reorder, int channels);
void nova_decoder_use_cuda(AVCodecContext *c, AVBufferRef *device);

// gpu.c
AVFrame *nova_gpu_frame(AVBufferRef *device, int w, int h);

// scale.c
struct SwsContext *nova_sws_new(int sw, int sh, enum AVPixelFormat sf, int srange, int smatrix,
                                int dw, int dh, enum AVPixelFormat df, int drange, int dmatrix,
                                int flags, int threads);
int nova_sws_scale(struct SwsContext *s, const AVFrame *src, AVFrame *dst, int x, int y);

// resample.c
int nova_swr_new(struct SwrContext **s, const AVFrame *f, int rate);
int nova_swr_write(struct SwrContext *s, AVAudioFifo *fifo, const AVFrame *f, int rate, int skip);
int nova_fifo_silence(AVAudioFifo *fifo, int n);
AVFrame *nova_fifo_read(AVAudioFifo *fifo, int n, int rate);

#endif
