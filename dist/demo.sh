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
mkdir mnt src src/lib docs rootfs home
cp "$conf" example.conf
printf '127.0.0.1 localhost\n' >hosts
printf 'int main(void) { return 0; }\n' >src/main.c
printf '#define ANSWER 42\n' >src/lib/answer.h
printf 'PASSWORD=hunter2\n' >src/.env
printf 'Read me first.\n' >docs/guide.txt
printf 'Hello from partition 1.\n' >rootfs/hello
printf 'Hello from partition 2.\n' >home/hello

say "A disk image: GPT, two partitions from 1 and 33 MiB on, each ext4 with a file in it"
truncate -s 64M demo.img
run sfdisk -q demo.img <<<'label: gpt
size=32M, name=data, type=linux
size=24M, name=home, type=linux'
mkfs.ext4 -q -d rootfs -E offset=1048576 demo.img 32M
mkfs.ext4 -q -d home -E offset=34603008 demo.img 24M 2>/dev/null

say "What the configuration comes to"
run "$daemon" --check example.conf

say "Mounted"
run "$daemon" example.conf mnt
run tree -a --noreport mnt
run df -h mnt mnt/src mnt/home

say "The partition is a file: exactly its bytes, and a file system"
run ls -l mnt/disk
run dumpe2fs -h mnt/disk/p1 2>/dev/null | grep -E 'Filesystem (state|volume)|Block count'
run debugfs -R 'cat /hello' mnt/disk/p1 2>/dev/null
printf 'written through the mount\n' >note
run debugfs -w -R 'write note note' mnt/disk/p1 2>/dev/null >/dev/null
run e2fsck -fn mnt/disk/p1 2>/dev/null

say "The other one is mounted, without the kernel: not as root, if one is not"
run cat mnt/home/hello
run sh -c 'echo "written in the image" > mnt/home/new && ls -l mnt/home'

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
# The daemon ends by itself then, once it has written the image back.
for _ in $(seq 50); do
	readlink /proc/[0-9]*/exe 2>/dev/null | grep -qxF "$daemon" || break
	sleep 0.1
done
run ls -A src docs
run debugfs -R 'cat /note' 'demo.img?offset=1048576' 2>/dev/null
run debugfs -R 'cat /new' 'demo.img?offset=34603008' 2>/dev/null
dd if=demo.img of=p2.img bs=1M skip=33 count=24 status=none
run e2fsck -fn p2.img 2>/dev/null
