#!/bin/bash
# The example configuration on real media: a disk image with a GPT and an ext4 partition, a
# source tree, a documentation tree, a single file.  Shows what comes out and cleans up.
#
#	demo.sh DAEMON
set -eu
daemon=$(realpath "$1")
conf=$(realpath "$(dirname "$0")/example.conf")
work=$(mktemp -d)
mnt=$work/mnt
pid=

cleanup()
{
	if mountpoint -q "$mnt" 2>/dev/null; then
		umount "$mnt" || umount -l "$mnt"
	fi
	rm -rf "$work"
}
trap cleanup EXIT

say()
{
	printf '\n\033[1m%s\033[0m\n' "$*"
}

run()
{
	printf '$ %s\n' "${*//$work\//}"
	"$@"
}

cd "$work"
mkdir mnt src src/lib docs rootfs
cp "$conf" example.conf
printf '127.0.0.1 localhost\n' >hosts
printf 'int main(void) { return 0; }\n' >src/main.c
printf '#define ANSWER 42\n' >src/lib/answer.h
printf 'PASSWORD=hunter2\n' >src/.env
printf 'Read me first.\n' >docs/guide.txt
printf 'Hello from partition 1.\n' >rootfs/hello

say "A disk image: GPT, one partition from 1 MiB on, ext4 with a file in it"
truncate -s 64M demo.img
run sfdisk -q demo.img <<<'label: gpt
size=32M, name=data, type=linux'
mkfs.ext4 -q -d rootfs -E offset=1048576 demo.img 32M

say "What the configuration comes to"
run "$daemon" --check example.conf

say "Mounted"
run "$daemon" example.conf mnt
run tree -a --noreport mnt
run df -h mnt mnt/src

say "The partition is a file: exactly its bytes, and a file system"
run ls -l mnt/disk
run dumpe2fs -h mnt/disk/p1 2>/dev/null | grep -E 'Filesystem (state|volume)|Block count'
run debugfs -R 'cat /hello' mnt/disk/p1 2>/dev/null
printf 'written through the mount\n' >note
run debugfs -w -R 'write note note' mnt/disk/p1 2>/dev/null >/dev/null
run e2fsck -fn mnt/disk/p1 2>/dev/null

say "A single host file, a host directory, the private tree"
run cat mnt/etc/hosts
run sh -c 'echo "::1 localhost" >> mnt/etc/hosts && cat hosts'
run sh -c 'echo "int twice(int x) { return 2 * x; }" > mnt/src/twice.c && ls src'
run sh -c 'cat mnt/src/.env || true'
run sh -c 'echo object > mnt/src/build/main.o && ls -l mnt/src/build && ls src'
run sh -c 'touch mnt/docs/new || true'
run cat mnt/etc/motd
run sh -c 'echo scratch > mnt/tmp/x && mv mnt/tmp/x mnt/tmp/y && cat mnt/tmp/y'

say "Unmounted; the host has what was written to it, and nothing else"
run umount mnt
run ls -A src docs
run debugfs -R 'cat /note' 'demo.img?offset=1048576' 2>/dev/null
