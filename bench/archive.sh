#!/bin/bash
# archive against archivemount: mounting (the index), one stream, random reads of 4 KiB, walks of
# a tree; a plain tar, tar.gz and tar.zst.  Both are mounted anew before each run, so that
# nothing is known to anybody but what a mount finds out.
. "$(dirname "$0")/lib.sh"
need archivemount python3 tar gzip zstd

sample "$W/src" "${BENCH_BYTES:-128M}"
# Of the documents archivemount lists some that it then cannot show.
rm -r "$W"/src/part? "$W/src/tree/usr/share/doc"
tar -C "$W/src" -cf "$W/a.tar" .
gzip -k "$W/a.tar"
zstd -q "$W/a.tar"
rm -rf "$W/src"

up()
{
	if [ "$1" = ours ]; then
		printf '[mount /i]\nvfs = archive\nhost = %s\n' "$image" >"$W/conf"
		serve ours "$W/ours" "$RUMPFUSE" -f "$W/conf" "$W/ours"
	else
		serve theirs "$W/theirs" archivemount -f -o readonly "$image" "$W/theirs"
	fi
}
unmounted() { [ -z "${BENCH_PID[$1]:-}" ] || down "$1"; }

for image in "$W/a.tar" "$W/a.tar.gz" "$W/a.tar.zst"; do
	n=${image##*/a.}
	compare "$n: mount" unmounted up
	compare "$n: one stream" remount one
	# archivemount reads all that lies before, each time; of a plain tar the headers.
	compare "$n: random 4 KiB" remount random 40
	compare "$n: tree walk" remount walk
	bench_done
done
