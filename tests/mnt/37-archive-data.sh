#!/bin/bash
# The data of archives: random reads by several threads through a cache that is too small, images
# in images; and archives that are damaged, encrypted, malicious or large.
LIMIT=240
. "$(dirname "$0")/lib.sh"
export LC_ALL=C.UTF-8
export UKFS_MODULES=${UKFS_MODULES:-$(dirname "$RUMPFUSE")}
M=$W/m
A=$W/a
mkdir -p "$A" "$W/plain/dir"
seq 1 60000 >"$W/plain/dir/text"

# Random reads by several threads, with a cache that is much too small: every way that data
# come by has to start anew in the midst.
mkdir "$W/big"
{
	head -c 2000000 /dev/urandom
	seq 1 400000
	head -c 2000000 /dev/urandom
	seq 2000000 2400000
} >"$W/big/one"
head -c 1000000 "$W/big/one" >"$W/big/two"
seq 1 300000 >"$W/big/three"
(
	cd "$W/big" || exit 1
	tar -cf "$A/big.tar" two three one
	gzip -1 -c "$A/big.tar" >"$A/big.tar.gz"
	zstd -q -c "$A/big.tar" >"$A/big.tar.zst"
	zip -q -1 "$A/big.zip" two three one
	7z a -bd -mx=1 -ms=on "$A/big-solid.7z" two three one >/dev/null
	7z a -bd -mx=1 -ms=off "$A/big-single.7z" two three one >/dev/null
	tar -cf - one | gzip -1 >"$A/inner.tar.gz"
	mkdir inner && cp "$A/inner.tar.gz" inner && genisoimage -quiet -R -o "$A/nest.iso" inner
	tar -C "$A" -cf "$A/nest.tar" nest.iso
)
conf=""
for f in big.tar big.tar.gz big.tar.zst big.zip big-solid.7z big-single.7z; do
	conf="$conf
[mount /$f]
host = $A/$f
options = cache=8M
"
done
conf="$conf
[mount /0nest]
host = $A/nest.tar
[mount /1nest]
device = /0nest/nest.iso
[mount /2nest]
device = /1nest/inner.tar.gz
"
rf_mount "$conf" "$M"
for f in big.tar big.tar.gz big.tar.zst big.zip big-solid.7z big-single.7z; do
	for i in one two three; do
		program "random reads of $f, $i" p-randread -t 4 -n 25 "$M/$f/$i" "$W/big/$i"
		check "all of it" cmp "$M/$f/$i" "$W/big/$i"
	done
done
check "a file in a tar.gz in an iso9660 in a tar" cmp "$M/2nest/one" "$W/big/one"
rf_umount "$M"

# What is damaged, encrypted, too much, or leads out.
head -c $(($(stat -c %s "$A/big.tar") / 2)) "$A/big.tar" >"$A/cut.tar"
head -c $(($(stat -c %s "$A/big.tar.gz") / 2)) "$A/big.tar.gz" >"$A/cut.tar.gz"
head -c 100000 /dev/urandom >"$A/noise"
(
	cd "$W/plain" || exit 1
	zip -q -P secret "$A/secret.zip" dir/text
	7z a -bd -psecret -mhe=on "$A/secret.7z" dir/text >/dev/null
)
mkdir "$W/evil"
(
	cd "$W/evil" || exit 1
	echo first >f
	echo one >d
	tar -cf "$A/evil.tar" f d
	echo second >f
	rm d && mkdir d && echo in >d/x
	tar -rf "$A/evil.tar" f d
	tar -rPf "$A/evil.tar" --transform 's,^f,../../up,' f
	tar -rPf "$A/evil.tar" --transform 's,^f,/abs//olute/./f,' f
	ln -s d link
	tar -rf "$A/evil.tar" link
	tar -rf "$A/evil.tar" --transform 's,^f,link/through,' f
	tar -rf "$A/evil.tar" --transform 's,^f,f/below,' f
)
# Compressed, and no archive: though zeros at the beginning are an empty tar by themselves.
truncate -s 1M "$W/blank" && gzip -c "$W/blank" >"$A/blank.gz"
truncate -s 2M "$W/fs" && mke2fs -q -F -t ext4 "$W/fs" && zstd -q -c "$W/fs" >"$A/fs.zst"
tar -czf "$A/empty.tar.gz" -T /dev/null
yes | head -c 1G | zstd -q -c >"$A/bomb.zst"
conf=""
for f in blank.gz fs.zst empty.tar.gz bomb.zst; do
	conf="$conf
[mount /$f]
vfs = archive
host = $A/$f
"
done
rf_mount "$conf" "$M"
at_most "MiB of memory after a file of 1 GiB has been measured" \
    $(($(rss_kib "${RF_PID[$M]}") / 1024)) 64
same "and it is as long" "$(stat -c %s "$M/bomb.zst/data")" 1073741824
check "a compressed file of zeros" cmp "$M/blank.gz/data" "$W/blank"
check "a compressed file system" cmp "$M/fs.zst/data" "$W/fs"
same "a compressed tar of nothing" "$(ls -A "$M/empty.tar.gz")" ""
rf_umount "$M"

# What GNU tar makes of it is what is shown.
mkdir "$W/over" "$W/over-by-tar"
(
	cd "$W/over" || exit 1
	mkdir d1 && echo f >d1/f && ln -s d1 s
	tar -cf "$A/over.tar" --no-recursion d1 s
	tar -rf "$A/over.tar" --transform 's,^d1/f,s/f,' d1/f
	rm s && mkdir s && echo g >s/g
	tar -rf "$A/over.tar" --no-recursion s s/g
	tar -C "$W/over-by-tar" -xf "$A/over.tar"
)
python3 - "$A/mode.tar" <<'P'
import sys, tarfile
with tarfile.open(sys.argv[1], "w") as t:
    f = tarfile.TarInfo("l")
    f.type, f.mode, f.linkname = tarfile.SYMTYPE, 0o640, "to"
    t.addfile(f)
P
conf=""
for f in cut.tar cut.tar.gz secret.zip evil.tar over.tar mode.tar; do
	conf="$conf
[mount /$f]
host = $A/$f
"
done
rf_mount "$conf" "$M"
log=${RF_LOG[$M]}
check "a cut tar shows what there is" cmp "$M/cut.tar/two" "$W/big/two"
refuse "reading beyond" 'Input/output error' cat "$M/cut.tar/one"
check "its beginning reads" cmp -n 1000000 "$M/cut.tar/one" "$W/big/one"
check "a cut tar.gz is said to be" grep -q 'cut.tar.gz: archive: damaged' "$log"
check "and shows what there is" cmp "$M/cut.tar.gz/two" "$W/big/two"
refuse "an encrypted file" 'Permission denied' cat "$M/secret.zip/dir/text"
check "is said to be" grep -q 'secret.zip.*encrypted' "$log"
same "the later one replaces" "$(cat "$M/evil.tar/f")" second
same "a directory replaces a file" "$(cat "$M/evil.tar/d/x")" in
same "nothing leads out" "$(cd "$M/evil.tar" && find . | sort | tr '\n' ' ')" \
    ". ./abs ./abs/olute ./abs/olute/f ./d ./d/through ./d/x ./f ./link "
same "a directory takes the place of a symlink to another, as GNU tar unpacks it" \
    "$(cd "$M/over.tar" && find . | sort | tr '\n' ' ')" \
    "$(cd "$W/over-by-tar" && find . | sort | tr '\n' ' ')"
same "what is below it is in it" "$(cat "$M/over.tar/s/g")" g
check "what is left out is counted, and the first named" grep -qF \
    'evil.tar: archive: 2 entries are left out, the first ../../up: it leads out' "$log"
same "a symlink has no mode of its own" "$(stat -c %A "$M/mode.tar/l")" lrwxrwxrwx
rf_umount "$M"
for f in noise secret.7z; do
	printf '[mount /x]\nvfs = archive\nhost = %s\n' "$A/$f" >"$W/bad.conf"
	check "$f is refused" sh -c "! timeout 20 '$RUMPFUSE' -f '$W/bad.conf' '$M' 2>'$W/.out'"
done

# More than the eleven octal digits of a header can say, and what is behind it.
python3 - "$A/huge" <<'P'
import sys, tarfile
for name, form in ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT):
    with open(sys.argv[1] + "-" + name + ".tar", "wb") as out:
        f = tarfile.TarInfo("huge")
        f.size = (9 << 30) + 5
        out.write(f.tobuf(form))
        out.seek(9 << 30, 1)
        out.write(b"LAST!".ljust(512, b"\0"))
        f = tarfile.TarInfo("after")
        f.size = 3
        out.write(f.tobuf(form) + b"abc".ljust(1536, b"\0"))
P
conf=""
for f in huge-gnu.tar huge-pax.tar; do
	conf="$conf
[mount /$f]
host = $A/$f
"
done
rf_mount "$conf" "$M"
for f in huge-gnu.tar huge-pax.tar; do
	same "$f: a file of 9 GiB" "$(stat -c %s "$M/$f/huge") $(tail -c 5 "$M/$f/huge")" \
	    "9663676421 LAST!"
	same "$f: the next" "$(cat "$M/$f/after")" abc
done
rf_umount "$M"

# Many entries: what they cost.
n=$((40000 / ${RF_SLOW:-1}))
python3 - "$A/many.tar" $n <<'P'
import sys, tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.USTAR_FORMAT) as t:
    for i in range(int(sys.argv[2])):
        f = tarfile.TarInfo("dir%d/some-file-%d.txt" % (i // 500, i))
        t.addfile(f)
P
rf_mount none "$M"
before=$(rss_kib "${RF_PID[$M]}")
rf_umount "$M"
begin=$(now)
rf_mount "[mount /many]
host = $A/many.tar" "$M"
figure "index of $n entries and the start of the daemon: $(since "$begin") s"
per=$((($(rss_kib "${RF_PID[$M]}") - before) * 1024 / n))
at_most "bytes of memory for an entry" $per 220
same "all are there" "$(find "$M/many" -type f | wc -l)" $n
same "the last" "$(stat -c %s "$M/many/dir$(((n - 1) / 500))/some-file-$((n - 1)).txt")" 0
rf_umount "$M"
printf '[mount /many]\nhost = %s\noptions = entries=1000\n' "$A/many.tar" >"$W/few.conf"
rf_mount "$W/few.conf" "$M"
check "a limit of entries" grep -q 'more than 1001 entries' "${RF_LOG[$M]}"
rf_umount "$M"
done_testing
