#!/bin/bash
# squashfs against squashfuse_ll: one and four streams, random reads of 4 KiB, walks of a tree;
# gzip and zstd.  Both are mounted anew before each run, so that nothing is known to anybody.
. "$(dirname "$0")/lib.sh"
need mksquashfs squashfuse_ll python3

# Programs and libraries of this machine: what squashfs is for.
mkdir "$W/src"
find /usr/lib /usr/bin -xdev -type f -size +100k -readable -print0 | sort -z |
    xargs -0 cat 2>/dev/null | head -c "${BENCH_BYTES:-256M}" >"$W/src/big"
for i in 0 1 2 3; do
	dd if="$W/src/big" of="$W/src/part$i" bs=1M skip=$((i * 40)) count=40 status=none
done
mkdir "$W/src/tree"
for d in /usr/include /usr/lib/python3 /usr/lib/python3.11 /usr/share/doc; do
	[ ! -d "$d" ] || cp -r --parents "$d" "$W/src/tree" 2>/dev/null
done

cat >"$W/random.py" <<'PY'
import os, random, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
size = os.fstat(fd).st_size
r = random.Random(7)
for _ in range(int(sys.argv[2])):
    if len(os.pread(fd, 4096, r.randrange(size // 4096 - 1) * 4096)) != 4096:
        sys.exit("a short read")
PY

up()
{
	if [ "$1" = ours ]; then
		printf '[mount /s]\nvfs = squashfs\nhost = %s\naccess = ro\n' "$image" >"$W/conf"
		serve ours "$W/ours" "$RUMPFUSE" -f "$W/conf" "$W/ours"
	else
		serve theirs "$W/theirs" squashfuse_ll -f "$image" "$W/theirs"
	fi
}
down() { unserve "$1" "$W/$1"; }
root() { [ "$1" = ours ] && echo "$W/ours/s" || echo "$W/theirs"; }

one() { dd if="$(root "$1")/big" of=/dev/null bs=1M status=none; }
four()
{
	local i pids=""
	for i in 0 1 2 3; do
		dd if="$(root "$1")/part$i" of=/dev/null bs=1M status=none &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086
	wait $pids
}
random() { python3 "$W/random.py" "$(root "$1")/big" 3000; }
walk() { find "$(root "$1")/tree" -printf '%s %m %T@ %p\n' >/dev/null; }
files() { tar -C "$(root "$1")/tree" -cf - . | cat >/dev/null; }

for comp in gzip zstd; do
	image=$W/$comp.sqfs
	mksquashfs "$W/src" "$image" -comp $comp -quiet -no-progress >/dev/null ||
	    die "mksquashfs"
	compare "$comp: one stream" remount one
	compare "$comp: four streams" remount four
	compare "$comp: random 4 KiB" remount random
	compare "$comp: tree walk" remount walk
	compare "$comp: tree walk, names known" warm walk
	compare "$comp: every file of the tree" remount files
	bench_done
	rm -f "$image"
done
