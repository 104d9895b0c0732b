#!/bin/bash
# archive against archivemount: mounting (the index), one stream, random reads of 4 KiB, walks of
# a tree; a plain tar, tar.gz and tar.zst.  Both are mounted anew before each run, so that
# nothing is known to anybody but what a mount finds out.
. "$(dirname "$0")/lib.sh"
need archivemount python3 tar gzip zstd

mkdir -p "$W/src/tree"
find /usr/lib /usr/bin -xdev -type f -size +100k -readable -print0 | sort -z |
    xargs -0 cat 2>/dev/null | head -c "${BENCH_BYTES:-128M}" >"$W/src/big"
for d in /usr/include /usr/lib/python3; do
	[ ! -d "$d" ] || cp -r --parents "$d" "$W/src/tree" 2>/dev/null
done
tar -C "$W/src" -cf "$W/a.tar" .
gzip -k "$W/a.tar"
zstd -q "$W/a.tar"
rm -rf "$W/src"

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
		printf '[mount /a]\nvfs = archive\nhost = %s\n' "$image" >"$W/conf"
		serve ours "$W/ours" "$RUMPFUSE" -f "$W/conf" "$W/ours"
	else
		serve theirs "$W/theirs" archivemount -f -o readonly "$image" "$W/theirs"
	fi
}
down() { unserve "$1" "$W/$1"; }
root() { [ "$1" = ours ] && echo "$W/ours/a" || echo "$W/theirs"; }
unmounted() { [ -z "${BENCH_PID[$1]:-}" ] || down "$1"; }

one() { dd if="$(root "$1")/big" of=/dev/null bs=1M status=none; }
random() { python3 "$W/random.py" "$(root "$1")/big" "$2"; }
walk() { find "$(root "$1")/tree" -printf '%s %m %T@ %p\n' >/dev/null; }

for image in "$W/a.tar" "$W/a.tar.gz" "$W/a.tar.zst"; do
	n=${image##*/a.}
	compare "$n: mount" unmounted up
	compare "$n: one stream" remount one
	# archivemount reads all that lies before, each time; of a plain tar the headers.
	compare "$n: random 4 KiB" remount random 40
	compare "$n: tree walk" remount walk
	bench_done
done
