#!/usr/bin/env bash
# FFmpeg 7.1: the system's libraries and programs where they are 7.1, else a trimmed static build from
# Debian's source, once, into the cache. Writes $CACHE/ffmpeg.mk, which the Makefile includes.
source "$(dirname "$0")/lib.sh"

VERSION=7.1.5
SHA256=de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
NV_HEADERS=libffmpeg-nvenc-dev_12.1.14.0-1_all.deb
NV_SHA256=02e72acf518c52685d308ebb96d85a04410bf43064cdc73c41ef2a061831fdd8
MIRROR="${NOVA_DEBIAN_MIRROR:-$(sed -nE 's#^(URIs:|deb( \[[^]]*\])?) *(https?://[^ ]+/debian)/?( .*)?$#\3#p' \
	/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)}"

# Only what Nova reads, writes or compares against: a smaller attack surface and a shorter build.
FLAGS=(
	--disable-everything --disable-autodetect --disable-doc --disable-shared --disable-debug --disable-ffplay
	--enable-static --enable-pic --enable-gpl --enable-runtime-cpudetect
	--enable-libx264 --enable-libopus --enable-zlib
	--enable-ffnvcodec --enable-nvenc --enable-nvdec --enable-cuvid --enable-cuda-llvm
	--enable-avdevice --enable-network
	--enable-indev=lavfi
	--enable-protocol=file,pipe,fd,http,tcp,udp,rtp,unix,rtmp,async,cache,crypto,data,concat,subfile
	--enable-demuxer=flv,live_flv,mov,matroska,mpegts,hls,aac,ac3,mp3,wav,ogg,h264,hevc,ivf,image2,image2pipe,mjpeg,png_pipe,jpeg_pipe,rawvideo,rtsp,sdp,rtp,concat,ffmetadata,pcm_s16le,yuv4mpegpipe,flac,obu
	--enable-muxer=flv,mov,mp4,ipod,matroska,webm,mpegts,hls,adts,mp3,wav,ogg,opus,h264,hevc,ivf,image2,image2pipe,mjpeg,null,rawvideo,rtsp,rtp,framecrc,framemd5,framehash,hash,md5,crc,segment,stream_segment,tee,fifo,pcm_s16le,pcm_f32le,yuv4mpegpipe,webp
	--enable-decoder=h264,hevc,vp8,vp9,av1,mpeg4,mpeg2video,mjpeg,png,webp,rawvideo,wrapped_avframe,prores,h264_cuvid,hevc_cuvid,aac,aac_latm,mp3,mp3float,opus,libopus,vorbis,ac3,eac3,flac,alac,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s32le,pcm_f32le,pcm_u8,pcm_mulaw,pcm_alaw
	--enable-encoder=libx264,aac,libopus,opus,mjpeg,png,rawvideo,wrapped_avframe,pcm_s16le,pcm_f32le,h264_nvenc,hevc_nvenc,flac,mpeg4,hevc_nvenc
	--enable-hwaccel=h264_nvdec,hevc_nvdec,vp8_nvdec,vp9_nvdec,av1_nvdec
	--enable-parser=h264,hevc,aac,aac_latm,ac3,av1,vp8,vp9,mjpeg,mpeg4video,mpegaudio,mpegvideo,opus,vorbis,png,flac
	--enable-bsf=h264_mp4toannexb,hevc_mp4toannexb,aac_adtstoasc,extract_extradata,noise,setts,dump_extra,filter_units,h264_metadata,hevc_metadata,h264_redundant_pps,null,vp9_superframe,vp9_superframe_split,av1_frame_split,av1_frame_merge,remove_extra,trace_headers,pcm_rechunk
	--enable-filter=buffer,buffersink,abuffer,abuffersink,null,anull,scale,format,aformat,fps,setsar,setdar,setpts,asetpts,settb,asettb,setparams,aresample,yadif,bwdif,idet,transpose,hflip,vflip,rotate,crop,pad,overlay,drawbox,drawgrid,geq,lut,eq,negate,blend,colorchannelmixer,boxblur,noise,split,asplit,concat,trim,atrim,loop,aloop,tile,thumbnail,select,aselect,signalstats,psnr,ssim,blackdetect,silencedetect,cropdetect,metadata,ametadata,showinfo,ashowinfo,volume,astats,aevalsrc,sine,anullsrc,color,testsrc,testsrc2,smptebars,mandelbrot,rgbtestsrc,interlace,tinterlace,fieldorder,field,telecine,channelmap,channelsplit,pan,amix,amerge,join,atempo,adelay,apad,hwupload,hwdownload,hwupload_cuda,scale_cuda,yadif_cuda,bwdif_cuda,nullsrc,nullsink,anullsink,realtime,arealtime,sendcmd,gblur,tblend,freezedetect,volumedetect,ebur128,loudnorm,showwavespic,deflicker,tonemap,colorspace,vstack,hstack,xstack,scdet,movie,amovie
)

write_mk() { # PREFIX
	cat >"$CACHE/ffmpeg.mk.part" <<EOF
# Written by deploy/setup/ffmpeg.sh: where this machine's FFmpeg 7.1 is.
export PATH := $1/bin:\$(PATH)
export PKG_CONFIG := $1/bin/nova-pkg-config
export NOVA_FFMPEG := $1/bin/ffmpeg
export NOVA_FFPROBE := $1/bin/ffprobe
EOF
	mv "$CACHE/ffmpeg.mk.part" "$CACHE/ffmpeg.mk"
}

# A prefix of links for the system's own FFmpeg, so that everything else sees one shape.
use_system() {
	local prefix="$CACHE/ffmpeg-system"
	mkdir -p "$prefix/bin"
	ln -sf "$(command -v ffmpeg)" "$prefix/bin/ffmpeg"
	ln -sf "$(command -v ffprobe)" "$prefix/bin/ffprobe"
	ln -sf "$(command -v pkg-config)" "$prefix/bin/nova-pkg-config"
	write_mk "$prefix"
}

system_is_71() {
	# libavcodec 61.19 is FFmpeg 7.1's; 62 is FFmpeg 8's.
	pkg-config --exists 'libavcodec >= 61.19' 'libavcodec < 62' libavdevice libavfilter 2>/dev/null &&
		command -v ffmpeg >/dev/null && ffmpeg -hide_banner -encoders 2>/dev/null | grep -q libx264
}

build() { # PREFIX
	local prefix=$1 objects
	[ -n "$MIRROR" ] ||
		die "apt is not set up with a Debian mirror; set NOVA_DEBIAN_MIRROR to one, to fetch the sources of FFmpeg 7.1 from"
	work="$(mktemp -d "$CACHE/ffmpeg-build.XXXXXX")"
	trap 'rm -rf "$work"' EXIT
	fetch "$MIRROR/pool/main/f/ffmpeg/ffmpeg_$VERSION.orig.tar.xz" "$SHA256" "$CACHE/ffmpeg_$VERSION.orig.tar.xz"
	fetch "$MIRROR/pool/main/n/nv-codec-headers/$NV_HEADERS" "$NV_SHA256" "$CACHE/$NV_HEADERS"
	tar -xf "$CACHE/ffmpeg_$VERSION.orig.tar.xz" -C "$work"
	dpkg-deb -x "$CACHE/$NV_HEADERS" "$work/nv"
	sed -i "s#^prefix=.*#prefix=$work/nv/usr#" "$work"/nv/usr/lib/pkgconfig/ffnvcodec.pc 2>/dev/null ||
		find "$work/nv" -name ffnvcodec.pc -exec sed -i "s#^prefix=.*#prefix=$work/nv/usr#" {} +
	mkdir "$work/out" && cd "$work/out"
	PKG_CONFIG_PATH="$(dirname "$(find "$work/nv" -name ffnvcodec.pc | head -n 1)")" progress \
		"configuring FFmpeg $VERSION" 0 "$LOGS/ffmpeg-configure.log" . -- \
		"$work/ffmpeg-$VERSION/configure" --prefix="$prefix.part" --nvccflags="-O2" "${FLAGS[@]}"
	grep -qE '^#define CONFIG_SCALE_CUDA_FILTER 1' config_components.h || say "note: no scale_cuda in this build"
	objects=$(make --dry-run 2>/dev/null | grep -cE '^printf "(CC|X86ASM|NVCC|AR)' || true)
	progress "building FFmpeg $VERSION ($objects objects, on $JOBS cores)" "$objects" "$LOGS/ffmpeg-build.log" \
		'^(CC|X86ASM|NVCC|AR)' -- make -j"$JOBS"
	rm -rf "$prefix.part" "$prefix"
	make install >>"$LOGS/ffmpeg-build.log" 2>&1
	# The prefix is renamed once it is whole, so that a build cut off half-way is never taken for a good one.
	find "$prefix.part" -name '*.pc' -exec sed -i "s#$prefix.part#$prefix#g" {} +
	cat >"$prefix.part/bin/nova-pkg-config" <<EOF
#!/bin/sh
PKG_CONFIG_PATH="$prefix/lib/pkgconfig\${PKG_CONFIG_PATH:+:\$PKG_CONFIG_PATH}" exec pkg-config --static "\$@"
EOF
	chmod +x "$prefix.part/bin/nova-pkg-config"
	mv "$prefix.part" "$prefix"
}

if system_is_71; then
	use_system
	exit 0
fi
prefix="$CACHE/ffmpeg-$VERSION-$(printf '%s' "${FLAGS[*]}" | sha256sum | cut -c1-10)"
[ -x "$prefix/bin/nova-pkg-config" ] || build "$prefix"
write_mk "$prefix"
