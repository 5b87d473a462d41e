#!/usr/bin/env bash
# Trains the scene model: seven runs, each from the weights of the one before, then the mean of the
# last two. Stopped by Ctrl-C, a kill or a power cut, it goes on from the last epoch that was kept
# when it is called again with the same arguments; runs that are done take seconds then.
# docs/accuracy.md says why each run is as it is, and where the shipped model's differed.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: scripts/train_scene.sh STANFORD SIFTFLOW OUT [option of mdlstm train …]" >&2
    echo "STANFORD, SIFTFLOW: folders with images/, labels/, classes.json, train.txt, val.txt." >&2
    echo "OUT: folder for scene.safetensors, scene-33.safetensors and what the runs leave." >&2
    exit 2
fi
stanford=$1 siftflow=$2 out=$3
shift 3

options=(--preset scene --precision bfloat16 "$@")
for pair in sea=water river=water field=grass sidewalk=road crosswalk=road car=foreground \
    bus=foreground person=foreground boat=foreground cow=foreground bird=foreground \
    door=building window=building balcony=building awning=building; do
    options+=(--same "$pair")
done

# train NAME BEFORE OTHER OPTION…: a run from the weights of BEFORE ("" for none); OTHER is
# SIFT Flow's model.
train() {
    local name=$1 before=$2 other=$3
    shift 3
    if [ -e "$out/$name.safetensors.state" ]; then
        set -- "$@" --resume
    elif [ -n "$before" ]; then
        set -- "$@" --start-from "$out/$before.safetensors.state"
    fi
    echo "train_scene.sh: the $name run"
    mdlstm train "$stanford" --out "$out/$name.safetensors" \
        --also "$siftflow" "$out/$other.safetensors" "${options[@]}" "$@"
}

train first "" scene-33 --epochs 12 --balance 0.25 --prefer-rare 0.3
train second first second-33 --epochs 1 --first-share 0.88 --learning-rate 0.0012 --balance 0.25
train third second third-33 --epochs 2 --first-share 0.75 --learning-rate 0.0012 --balance 0.4
train fourth third fourth-33 --epochs 1 --first-share 0.75 --learning-rate 0.0012 --balance 0.5 \
    --seed 1
train fifth fourth fifth-33 --epochs 1 --first-share 0.8 --learning-rate 0.001 --balance 0.5 \
    --seed 2
train sixth fifth sixth-33 --epochs 1 --first-share 0.8 --learning-rate 0.001 --balance 0.5 --seed 3
train seventh sixth seventh-33 --epochs 1 --first-share 0.8 --learning-rate 0.001 --balance 0.5 \
    --seed 4

mdlstm average "$out/sixth.safetensors" "$out/seventh.safetensors" --out "$out/scene.safetensors" \
    --measure-on "$stanford" --prefer mountain=0.7
