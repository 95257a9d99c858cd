#!/bin/sh
# Videos and labels to scores, step by step. Run it again after an interruption: finished clips are kept.
#
#   examples/pipeline.sh VIDEOS LABELS OUT
#
# VIDEOS holds the video files, LABELS has Train_Set/ and Validation_Set/ as Aff-Wild2 has them.
set -eu
[ $# -eq 3 ] || { echo "usage: pipeline.sh VIDEOS LABELS OUT" >&2; exit 2; }
videos=$1 labels=$2 out=$3

affcli extract-faces "$videos" "$out" --labels "$labels"
affcli extract-audio "$videos" "$out" --labels "$labels"
affcli embed "$out" "$out" --encoder centerface-b448
affcli embed "$out" "$out" --encoder mfcc-mel
affcli import-labels "$labels/Train_Set" "$out"
affcli import-labels "$labels/Validation_Set" "$out"

affcli window "$out" --labels "$out" -o "$out/windows.parquet" \
    --length 15 --overlap 5 --val "$labels/Validation_Set"
affcli train "$out/windows.parquet" -o "$out/run" --model gru-fusion --loss ccc --optimizer adam --lr 0.001
affcli predict "$out/run" "$out/windows.parquet" --split val -o "$out/preds"
affcli score --ccc "$out/preds" "$labels/Validation_Set" --table
