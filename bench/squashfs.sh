#!/bin/bash
# squashfs against squashfuse_ll: one and four streams, random reads of 4 KiB, walks of a tree;
# gzip and zstd.  Both are mounted anew before each run, so that nothing is known to anybody.
. "$(dirname "$0")/lib.sh"
need mksquashfs squashfuse_ll python3

sample "$W/src" "${BENCH_BYTES:-256M}"

up()
{
	if [ "$1" = ours ]; then
		printf '[mount /i]\nvfs = squashfs\nhost = %s\naccess = ro\n' "$image" >"$W/conf"
		serve ours "$W/ours" "$RUMPFUSE" -f "$W/conf" "$W/ours"
	else
		serve theirs "$W/theirs" squashfuse_ll -f "$image" "$W/theirs"
	fi
}
for comp in gzip zstd; do
	image=$W/$comp.sqfs
	mksquashfs "$W/src" "$image" -comp $comp -quiet -no-progress >/dev/null ||
	    die "mksquashfs"
	compare "$comp: one stream" remount one
	compare "$comp: four streams" remount four
	compare "$comp: random 4 KiB" remount random 3000
	compare "$comp: tree walk" remount walk
	compare "$comp: tree walk, names known" warm walk
	compare "$comp: every file of the tree" remount files
	bench_done
	rm -f "$image"
done
