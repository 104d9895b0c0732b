#!/bin/bash
# kill -9 while an ext4 image is written, again and again: e2fsck -fy makes it consistent, what
# was synced is there with its content, and the next writable mount says what to run before.
# RF_KILLS: how often (50).
LIMIT=240
. "$(dirname "$0")/lib.sh"
M=$W/m
IMG=$S/img
kills=${RF_KILLS:-50}
printf '[mount /e]\nvfs = ext\nhost = %s\n' "$IMG" >"$W/conf"

# What writes until it is ended: files that are synced, with their names written to a log after
# that; and much else that is not.  Contents follow from the name.
cat >"$W/writer" <<'X'
import os, random, sys, zlib
root, log, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
r = random.Random(seed)
def content(name, size):
    b = zlib.crc32(name.encode()).to_bytes(4, "little")
    return b * (size // 4)
def put(path, size, sync, step):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    data = content(path[len(root):], size)
    for at in range(0, size, step):
        os.write(fd, data[at:at + step])
    if sync:
        os.fsync(fd)
    os.close(fd)
os.makedirs(f"{root}/{seed}", exist_ok=True)
# A name is only there if the names above are: the directory is synced too.
fd = os.open(f"{root}/{seed}", os.O_RDONLY)
os.fsync(fd)
names = []
with open(log, "a") as f:
    n = 0
    while True:
        n += 1
        d = f"{root}/{seed}/d{n % 7}"
        os.makedirs(d, exist_ok=True)
        name = f"{d}/f{n}"
        size = r.choice([4, 400, 4096, 5000, 70000, 300000]) // 4 * 4
        sync = n % 4 == 0
        put(name, size, sync, r.choice([1000, 4096, 65536, 131072]))
        if sync:
            f.write(f"{name[len(root):]} {size}\n")
            f.flush()
        else:
            names.append(name)
        if len(names) > 40:
            x = names.pop(r.randrange(len(names)))
            how = r.randrange(4)
            if how == 0:
                os.unlink(x)
            elif how == 1:
                os.rename(x, x + "r")
            elif how == 2:
                os.truncate(x, r.randrange(400000))
            else:
                os.link(x, x + "l")
X
# Are all synced files of the log there?
cat >"$W/checker" <<'X'
import sys, zlib
root, log = sys.argv[1], sys.argv[2]
n = bad = 0
for line in open(log):
    name, size = line.split()
    n += 1
    want = zlib.crc32(name.encode()).to_bytes(4, "little") * (int(size) // 4)
    try:
        got = open(root + name, "rb").read()
    except OSError as e:
        got = e
    if got != want:
        bad += 1
        print("lost:", name, size, got if isinstance(got, OSError) else len(got))
print(n, "files were synced,", bad, "are not as they were")
sys.exit(bad != 0)
X

fresh()
{
	rm -f "$IMG"
	truncate -s 96M "$IMG"
	# shellcheck disable=SC2086
	mkfs.ext4 -q -F $1 "$IMG"
}

synced=0 said=0 fixed=0 lost=0 broken=0
for ((i = 1; i <= kills; i++)); do
	# A new image now and then, of one kind and another.
	case $((i % 10)) in
	1) fresh "-b 4096" ;;
	6) fresh "-b 1024 -O ^has_journal" ;;
	esac
	: >"$W/log"
	rf_mount "$W/conf" "$M" || break
	python3 "$W/writer" "$M/e" "$W/log" $i >"$W/writer.out" 2>&1 &
	writer=$!
	# In the midst of things: some files on, and not at a round number of anything.
	want=$((1 + RANDOM % 12))
	for ((t = 0; t < 300; t++)); do
		[ "$(wc -l <"$W/log")" -lt $want ] || break
		sleep 0.01
	done
	sleep "0.0$((RANDOM % 10))"
	kill -9 "${RF_PID[$M]}"
	{ wait "${RF_PID[$M]}"; } 2>/dev/null
	unset "RF_PID[$M]"
	{ wait $writer; } 2>/dev/null
	umount -l "$M" 2>/dev/null
	if [ $((i % 10)) = 3 ]; then
		rf_mount "$W/conf" "$M" || break
		if grep -q 'not unmounted cleanly: run e2fsck -fy' "${RF_LOG[$M]}" &&
		    ! touch "$M/e/x" 2>/dev/null; then
			said=$((said + 1))
		fi
		rf_umount "$M"
	fi
	e2fsck -fy "$IMG" >"$W/fsck" 2>&1
	rc=$?
	[ $rc = 0 ] || fixed=$((fixed + 1))
	if [ $rc -ge 4 ] || ! e2fsck -fn "$IMG" >"$W/fsck2" 2>&1; then
		broken=$((broken + 1))
		tail -n 20 "$W/fsck" "$W/fsck2" | sed 's/^/  | /'
	fi
	rf_mount "$W/conf" "$M" || break
	synced=$((synced + $(wc -l <"$W/log")))
	python3 "$W/checker" "$M/e" "$W/log" >"$W/lost" || {
		lost=$((lost + 1))
		tail -n 10 "$W/lost" | sed 's/^/  | /'
		tail -n 30 "$W/fsck" | sed 's/^/  | /'
	}
	rm -rf "$M/e/$i"
	rf_umount "$M"
done
figure "$((i - 1)) kills; files that were synced before one: $synced; images that e2fsck had" \
    "something to do on: $fixed"
same "kills" $((i - 1)) "$kills"
check "files were synced" test "$synced" -gt "$kills"
same "images that e2fsck left inconsistent" "$broken" 0
same "kills after which a synced file was not there, or not as it was" "$lost" 0
same "writable mounts that said what to run first, and were read-only" "$said" \
    $(((kills + 7) / 10))
check "and at the end" e2fsck -fn "$IMG"
done_testing
