#!/bin/bash
# writeback = yes: the kernel keeps what is written.  Nothing is lost of it, sizes and times
# stay, errors reach who syncs or closes; and no host file can be there.
LIMIT=60
. "$(dirname "$0")/lib.sh"
M=$W/m
CTL=$(dirname "$RUMPFUSE")/rumpfusectl
echo host >"$W/file"

asked()
{
	"$CTL" "$M" stats | awk -v op="$1" 'NF > 5 && $1 == op { n = $2 } END { print n + 0 }'
}

# Not with a key, wherever that comes from.
printf '[daemon]\nwriteback = yes\n[etfs /k]\nhost = file\n' >"$W/bad.conf"
refuse "a key in the file" "bad.conf:3: \[etfs /k\]: .*expected no \[etfs\] section" \
    "$RUMPFUSE" --check "$W/bad.conf"
printf '[daemon]\nwriteback = yes\n' >"$W/a.conf"
refuse "a key on the command line" "-k:1: .*expected no \[etfs\]" \
    "$RUMPFUSE" -f -k "/k=$W/file" "$W/a.conf" "$M"

for open in no yes; do
	printf '[daemon]\nwriteback = yes\nno-open = %s\n[rumpfs]\nsize = 64M\n' $open >"$W/a.conf"
	rf_mount "$W/a.conf" "$M" || done_testing
	bdi=/sys/class/bdi/$(mountpoint -d "$M")
	if [ "$(id -u)" = 0 ] && [ -w "$bdi/strict_limit" ]; then
		same "no-open = $open: its share" "$(cat "$bdi/max_ratio" "$bdi/strict_limit" | xargs)" "50 0"
	fi
	refuse "no-open = $open: a key by hand" "writeback = yes" "$CTL" "$M" add "/k=$W/file"
	printf '[etfs /k]\nhost = file\n' >"$W/a.conf"
	refuse "no-open = $open: a key by a reload" "writeback = yes" "$CTL" "$M" reload
	refuse "no-open = $open: it is not there" "No such file" cat "$M/k"

	# Contents.
	head -c 3000000 /dev/urandom >"$W/data"
	cp "$W/data" "$M/copy"
	check "no-open = $open: a copy" cmp "$W/data" "$M/copy"
	for i in 1 77777 2999999; do
		printf X | dd of="$M/copy" bs=1 seek=$i conv=notrunc status=none
		printf X | dd of="$W/data" bs=1 seek=$i conv=notrunc status=none
	done
	for i in {1..50}; do echo line $i >>"$M/log"; done
	same "no-open = $open: appended" "$(md5sum <"$M/log")" "$(for i in {1..50}; do echo line $i; done | md5sum)"
	exec 5>"$M/wronly"
	printf abc >&5
	exec 5>&-
	same "no-open = $open: a file that is only written" "$(cat "$M/wronly")" abc
	truncate -s 1000 "$M/copy" "$W/data"
	truncate -s 100000 "$M/copy" "$W/data"
	printf end >>"$M/copy"
	printf end >>"$W/data"
	truncate -s 40M "$M/sparse"
	printf x | dd of="$M/sparse" bs=1 seek=20M conv=notrunc status=none
	touch -d '2001-02-03 04:05:06' "$M/wronly"
	sync -f "$M/copy"
	dd if="$M/copy" iflag=nocache count=0 status=none
	check "no-open = $open: and after the kernel has forgotten it" cmp "$W/data" "$M/copy"
	same "no-open = $open: a time that was set" "$(stat -c %y "$M/wronly" | cut -c1-19)" "2001-02-03 04:05:06"
	same "no-open = $open: a hole costs nothing" "$(($(stat -c %b "$M/sparse") < 1000))" 1
	mkdir "$M/fsx"
	program "no-open = $open: reads, writes and mappings" p-fsx -s 1 -n 2000 "$M/fsx"

	# Written many times, sent once.
	before=$(asked write)
	dd if=/dev/zero of="$M/often" bs=64 count=4096 status=none
	figure "no-open = $open: write requests of 4096 writes of 64 bytes: $(($(asked write) - before))"
	[ $(($(asked write) - before)) -lt 400 ] || fail "no-open = $open: each write is sent"

	# No room: told to who syncs, or closes, and to nobody else.
	refuse "no-open = $open: no room" "No space left" dd if=/dev/zero of="$M/big" bs=1M count=100 conv=fsync
	rm "$M/big"
	# The kernel tells a moment later that it has forgotten it.
	for i in {1..100}; do
		[ "$(df --output=avail -k "$M" | tail -n 1)" -gt 8000 ] && break
		sleep 0.05
	done
	check "no-open = $open: and room again" dd if=/dev/zero of="$M/ok" bs=1M count=5 conv=fsync
	rf_umount "$M"
done
done_testing
