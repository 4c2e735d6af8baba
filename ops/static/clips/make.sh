#!/bin/sh
# Writes the clips of the player page anew: test patterns and tones, made by ffmpeg alone. Usage: make.sh FFMPEG
set -eu
ffmpeg="$1 -hide_banner -loglevel error -y"
cd "$(dirname "$0")"

clip() { # name pattern seconds tone_hz
  $ffmpeg -f lavfi -i "$2=size=320x180:rate=5:duration=$3" -f lavfi -i "sine=frequency=$4:duration=$3" \
    -af volume=0.05 -c:v libvpx-vp9 -b:v 0 -crf 58 -g 10 -deadline good -cpu-used 4 -pix_fmt yuv420p \
    -c:a libopus -b:a 6k -ac 1 -map_metadata -1 -fflags +bitexact -flags +bitexact "$1.webm"
}

hls() { # name: the same stream as one fragmented MP4 with byte ranges
  $ffmpeg -i "$1.webm" -c copy -strict -2 -f hls -hls_time 2 -hls_playlist_type vod -hls_segment_type fmp4 -hls_flags single_file \
    -fflags +bitexact "$1.m3u8"
}

clip film testsrc 60 330
clip news testsrc2 30 262
clip clip testsrc 20 392
clip bumper smptebars 6 523
clip spot smptehdbars 10 440
clip spot-2 rgbtestsrc 10 494
clip interstitial yuvtestsrc 10 587
clip long-form testsrc2 15 659
for name in film bumper spot; do hls $name; done
