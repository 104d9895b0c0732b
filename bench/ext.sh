#!/bin/bash
# ext4 against fuse2fs: one stream and four, random reads of 4 KiB, walks of a tree, writing one
# large file, and making and removing many small ones.  Where it says so, both are mounted anew
# before each run, so that nothing is known to anybody.
. "$(dirname "$0")/lib.sh"
need mkfs.ext4 fuse2fs python3

sample "$W/src" "${BENCH_BYTES:-256M}"
cat >"$W/small.py" <<'PY'
import os, sys
d, n = sys.argv[1] + "/small", int(sys.argv[2])
data = b"x" * 1000
if sys.argv[3] == "make":
    os.mkdir(d)
    for i in range(n):
        fd = os.open(f"{d}/file {i}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, data)
        os.close(fd)
else:
    for i in range(n):
        os.unlink(f"{d}/file {i}")
    os.rmdir(d)
PY

access=rw
for side in ours theirs; do
	truncate -s 2G "$W/$side.img"
	mkfs.ext4 -q -F -N 200000 -d "$W/src" "$W/$side.img" >/dev/null || die "mkfs.ext4"
done
rm -rf "$W/src"

up()
{
	if [ "$1" = ours ]; then
		printf '[mount /i]\nvfs = ext\nhost = %s\naccess = %s\n' "$W/ours.img" $access \
		    >"$W/conf"
		serve ours "$W/ours" "$RUMPFUSE" -f "$W/conf" "$W/ours"
	elif [ $access = ro ]; then
		serve theirs "$W/theirs" fuse2fs -f -o ro "$W/theirs.img" "$W/theirs"
	else
		serve theirs "$W/theirs" fuse2fs -f "$W/theirs.img" "$W/theirs"
	fi
}
write() { dd if=/dev/zero of="$(root "$1")/new" bs=1M count=128 conv=notrunc status=none; }
rewrite() { dd if=/dev/zero of="$(root "$1")/big" bs=64k count=1600 conv=notrunc status=none; }
make() { python3 "$W/small.py" "$(root "$1")" "$2" make; }
remove() { python3 "$W/small.py" "$(root "$1")" "$2" remove; }

unwritten() { [ -z "${BENCH_PID[$1]:-}" ] || rm -f "$(root "$1")/new"; remount "$1"; }
without() { [ -n "${BENCH_PID[$1]:-}" ] || up "$1"; [ ! -d "$(root "$1")/small" ] || remove "$1" "$count"; }
with() { [ -n "${BENCH_PID[$1]:-}" ] || up "$1"; [ -d "$(root "$1")/small" ] || make "$1" "$count"; }

compare "one stream" remount one
compare "four streams" remount four
compare "random 4 KiB" remount random 5000
compare "tree walk (find -ls)" remount walk
compare "tree walk, names known" warm walk
compare "every file of the tree" remount files
compare "writing 128 MiB" unwritten write
compare "overwriting 100 MiB" remount rewrite
for count in 2000 10000; do
	compare "making $count small files" without make $count
	compare "removing $count small files" with remove $count
done
bench_done
for side in ours theirs; do
	e2fsck -fn "$W/$side.img" >"$W/fsck" 2>&1 || die "$side: $(tail -n 5 "$W/fsck")"
done
access=ro
compare "read-only: one stream" remount one
compare "read-only: random 4 KiB" remount random 5000
bench_done
