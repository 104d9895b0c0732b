#!/bin/bash
# What 46-boot.sh has run in the booted system.  Rows go to /rf/rows: how, a tab, what.
set -u
export LC_ALL=C
rows=/rf/rows
ok() { printf 'ok\t%s\n' "$*" >>$rows; }
fail()
{
	printf 'FAIL\t%s\n' "$*" >>$rows
	echo "FAIL $*"
}
skip() { printf 'skip\t%s\n' "$*" >>$rows; }
figure() { printf 'figure\t%s\n' "$*" >>$rows; }
at_most() { printf 'limit\t%s\t%s\t%s\n' "$1" "$2" "$3" >>$rows; }
# limited COMMAND…: for no longer than a while, if it is a program.
limited()
{
	if declare -F "$1" >/dev/null; then "$@"; else timeout 30 "$@"; fi >/rf/out 2>&1
}
check()
{
	local what=$1 rc
	shift
	limited "$@"
	rc=$?
	if [ $rc = 0 ]; then ok "$what"; else
		fail "$what: status $rc of: $*: $(tail -n 3 /rf/out | tr '\n' ' ')"
	fi
}
refuse()
{
	local what=$1
	shift
	if limited "$@"; then fail "$what: succeeds: $*"; else ok "$what"; fi
}
same() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: is \"$2\", expected \"$3\""; fi; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }'; }
state() { systemctl show -P "$1" "rumpfuse@$2"; }
# until SECONDS COMMAND…
until_()
{
	local i n=$(($1 * 20))
	shift
	for ((i = 0; i < n; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}
log() { journalctl --sync; journalctl -o cat --no-pager "$@"; }
mounted() { grep -q " $1 fuse.rumpfuse " /proc/mounts; }

# At boot.
same "a unit is started at boot" "$(state ActiveState one)" active
same "and its mount seen by others" "$(cat /m/one/f)" content
same "its status" "$(state StatusText one | grep -c .)" 1
same "a line of fstab is mounted" "$(cat /m/fstab/f)" content
same "a source that comes late: by a unit" "$(cat /m/late/f)" late
same "and by a line of fstab" "$(cat /m/latefs/f)" late
same "who is ordered after a unit can use its mount" \
    "$(systemctl is-active user-of-late.service)" active
same "the order is the generator's" \
    "$(systemctl show -P RequiresMountsFor rumpfuse@late | tr ' ' '\n' | grep -x /srv/late/file)" \
    /srv/late/file
same "of fstab's line too" \
    "$(systemctl show -P RequiresMountsFor m-latefs.mount | tr ' ' '\n' | grep -cx /srv/late/file)" 1
same "strange paths arrive as they are" \
    "$(systemctl show -P RequiresMountsFor 'rumpfuse@od\x2dd' | grep -cF '"/rf/h/a  b\"c%d\\e"')" 1
check "one with a strange name and path is started" systemctl start 'rumpfuse@od\x2dd'
same "and has it" "$(cat /m/odd/f)" odd
same "a failed nofail source, and a key that may hide" "$(state ActiveState hide)" active
same "and one that must be there" "$(state Result must) $(state ActiveState must)" \
    "success inactive"
same "one that lies in the mount of another" "$(state ActiveState inner) $(cat /m/inner/f)" \
    "active content"
same "is ordered after it" "$(systemctl show -P After rumpfuse@inner | tr ' ' '\n' |
    grep -x rumpfuse@one.service)" rumpfuse@one.service
refuse "a broken line of fstab is not mounted" mounted /m/broken
of_unit() { systemctl show -P "$1" "$2" | tr ' ' '\n' | grep -cx -- "$3"; }
same "of two with one mount point, that which is enabled" "$(state ActiveState dup)" inactive
same "the other is only an order" "$(for d in After Wants Requires PartOf; do
	of_unit $d rumpfuse@inner rumpfuse@dup.service
done | tr '\n' ' ')" "1 0 0 0 "
same "_netdev: with the remote file systems" "$(cat /m/net/f) $(of_unit Before m-net.mount \
    remote-fs.target)" "content 1"
same "x-systemd.requires-mounts-for" "$(of_unit RequiresMountsFor m-net.mount /srv/late)" 1
same "x-systemd.requires" "$(cat /m/usb/f) $(of_unit Requires m-usb.mount slow.service)" "late 1"
if [ -e /dev/autofs ]; then
	same "on demand: not before" "$(systemctl is-active m-auto.mount)" inactive
	same "on demand: by using it" "$(timeout 20 cat /m/auto/f)" content
	same "on demand: then it is" "$(systemctl is-active m-auto.mount)" active
else
	skip "mounts on demand: there is no /dev/autofs"
fi

# A key appears by itself when a file system is mounted.
refuse "what has not come is not there" test -e /m/hide/l
systemctl start --no-block rumpfuse@wait
until_ 2 test "$(state SubState wait)" = start
same "missing = wait: the unit is being started" "$(state ActiveState wait)" activating
mount -t tmpfs tmpfs /srv/later
echo later >/srv/later/file
echo w >/srv/later/w
check "and is when the source has come" until_ 5 systemctl is-active rumpfuse@wait
same "with it" "$(cat /m/wait/f)" w
check "what comes later appears" until_ 2 test -e /m/hide/l
same "in a listing, too" "$(ls /m/hide)" l

same "in the unit, too, the daemon confines itself" "$(log -u rumpfuse@one | grep -c 'not confined')" 0
for set in CapBnd CapEff; do
	same "$set" "$(sed -n "s/^$set:[[:space:]]*//p" "/proc/$(state MainPID one)/status")" \
	    "$([ $set = CapBnd ] && echo 0000000000000000 || echo 00000000882002df)"
done
same "the filter" "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$(state MainPID one)/status")" 2

# What the unit lets it have: the kernel reads without it, and files in memory have their store.
stats() { rumpfusectl "/m/$1" stats --json | jq "(.result // .) | $2"; }
if [ "$(stats hide .passthrough.on)" = true ]; then
	was=$(stats hide .passthrough.opens)
	same "a file of the host, on tmpfs" "$(cat /m/hide/l)" later
	same "is read by the kernel" $(($(stats hide .passthrough.opens) - was)) 1
else
	skip "the kernel does not pass anything through"
fi
same "files in memory have their store" "$(log -t rumpfuse | grep -c 'through the daemon')" 0
if [ "$(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null)" = Y ]; then
	same "requests come by io_uring" "$(stats hide .transport)" '"io-uring"'
else
	skip "requests by io_uring: the kernel's FUSE has none, or it is off"
fi

# Nothing to complain about in the units.
same "systemd-analyze verify" "$(systemd-analyze verify --man=no --recursive-errors=no \
    rumpfuse@one.service 2>&1)" ""

# Errors.
same "a broken configuration: the result" "$(state Result broken) $(state ExecMainStatus broken)" \
    "exit-code 2"
same "with its place in the journal, as an error" \
    "$(log -u rumpfuse@broken -p err -t rumpfuse | grep -m 1 hots)" \
    "/etc/rumpfuse/broken.conf:5: [etfs /f] hots: unknown key, did you mean \"host\"?"
same "it is tried once" "$(state NRestarts broken)" 0
refuse "a missing host object" systemctl start rumpfuse@nohost
same "with the reason" "$(log -u rumpfuse@nohost -p err -t rumpfuse | grep -c 'no-such-file: No such')" 1
same "and the status" "$(state ExecMainStatus nohost)" 3
refuse "no configuration" systemctl start rumpfuse@nothing
same "with the reason, too" "$(log -u rumpfuse@nothing -p err -t rumpfuse | grep -c 'nothing.conf')" 1
check "what is mounted already is left as it is" mounted /m/one
refuse "a second start beside the unit" rumpfuse /etc/rumpfuse/one.conf
same "changes nothing" "$(state ActiveState one) $(cat /m/one/f)" "active content"

check "daemon-reload" systemctl daemon-reload
same "the generator says what it could not read" \
    "$(log -t rumpfuse-generator -p err | grep -c 'broken.conf:5: \[etfs /f\] hots: unknown')" 2
gen=$(ls /lib/systemd/system-generators/rumpfuse-generator \
    /usr/local/lib/systemd/system-generators/rumpfuse-generator 2>/dev/null | head -n 1)
"$gen" --check >/rf/check.out 2>/rf/check.err
same "and to who asks: the status" $? 1
same "what is wrong" "$(grep -c 'broken.conf:5: \[etfs /f\] hots: unknown' /rf/check.err)" 2
same "what can be one only" "$(grep -c 'dup.conf and .*/one.conf have one mount point, /m/one' \
    /rf/check.err)" 1
same "what is written" "$(sed '1,/^# rumpfuse@inner/d;/^# rumpfuse@/,$d' /rf/check.out | grep . | tr '\n' ' ')" \
    "$(grep . /run/systemd/generator/rumpfuse@inner.service.d/50-rumpfuse.conf | tr '\n' ' ')"

# Reloading.
ls -l /rf/h/file >/dev/null
printf '[etfs /new]\nhost = /rf/h/file\n' >>/etc/rumpfuse/one.conf
exec 5</m/one/f
check "reload" systemctl reload rumpfuse@one
same "has been done when it returns" "$(cat /m/one/new)" content
same "an open file goes on" "$(cat <&5)" content
exec 5<&-
pid=$(state MainPID one)
cp /etc/rumpfuse/one.conf /rf/one.conf
echo nonsense >>/etc/rumpfuse/one.conf
refuse "a reload of something broken fails" systemctl reload rumpfuse@one
same "with the reason" "$(log -u rumpfuse@one -p err | grep -c '^/etc/rumpfuse/one.conf:[0-9]*: .*nonsense')" 1
same "and the unit goes on" "$(state ActiveState one) $(state MainPID one) $(cat /m/one/new)" \
    "active $pid content"
journalctl --sync
same "the last that the status tells, but for systemd's own, is the reason" \
    "$(systemctl status rumpfuse@one | grep ' rumpfuse[^ ]*\[' | tail -n 1 | grep -c 'one.conf:[0-9]*: .*nonsense')" 1
cp /rf/one.conf /etc/rumpfuse/one.conf
check "and can be reloaded again" systemctl reload rumpfuse@one

# A crash, with the mount in use.
cd /m/one/d && sleep 60 &
user=$!
cd /
kill -9 "$(state MainPID one)"
check "after a crash it is started again" until_ 5 cat /m/one/f
same "once" "$(state NRestarts one)" 1
check "and what has a key in it" until_ 5 grep -qx content /m/inner/f
same "with one mount" "$(grep -c ' /m/one fuse.rumpfuse ' /proc/mounts)" 1
kill $user

# Stopping and starting.
check "restart" systemctl restart rumpfuse@one
same "after a restart" "$(cat /m/one/f)" content
check "what has a key in it is restarted with it" until_ 5 grep -qx content /m/inner/f
echo written >/m/one/new
begin=$(now)
check "stop" systemctl stop rumpfuse@one
at_most "seconds to stop" "$(since "$begin")" 3
refuse "then it is not mounted" mounted /m/one
same "and has not failed" "$(state Result one) $(state ActiveState one)" "success inactive"
same "what was written is there" "$(cat /rf/h/file)" written
same "what has a key in it is stopped with it" "$(state Result inner) $(state ActiveState inner)" \
    "success inactive"
check "start" systemctl start rumpfuse@one
check "and comes back with it" until_ 5 grep -qx written /m/inner/f
same "and nothing else" "$(state ActiveState dup)" inactive
check "umount(8) ends the unit" sh -c "umount /m/inner && sleep 0.5"
same "without a failure" "$(state Result inner) $(state ActiveState inner)" "success inactive"
sleep 60 </m/one/f &
begin=$(now)
check "stop while a file is open" systemctl stop rumpfuse@one
at_most "seconds to stop while a file is open" "$(since "$begin")" 5
refuse "nor is it mounted then" mounted /m/one
kill $!
check "start" systemctl start rumpfuse@one rumpfuse@inner
# A host that does not answer, below a mount.
kill -STOP "$(state MainPID one)"
timeout 60 cat /m/inner/f >/dev/null 2>&1 &
sleep 0.2
begin=$(now)
check "stop while a host does not answer" systemctl stop rumpfuse@inner
at_most "seconds to stop while a host does not answer" "$(since "$begin")" 10
refuse "the mount is gone" mounted /m/inner
kill -CONT "$(state MainPID one)"
wait $!
check "start" systemctl start rumpfuse@inner

# fstab's.
check "it can be written" touch /m/fstab/d/x
sed -i '/fstab.conf/s|nofail |nofail,ro |' /etc/fstab
systemctl daemon-reload
check "reload after the line has got ro" systemctl reload m-fstab.mount
refuse "it cannot be written" touch /m/fstab/d/y
sed -i '/fstab.conf/s|nofail,ro |nofail |' /etc/fstab
systemctl daemon-reload
check "and back" systemctl reload m-fstab.mount
check "it can be" touch /m/fstab/d/y
check "umount" systemctl stop m-fstab.mount
refuse "it is not mounted" mounted /m/fstab
check "mount" systemctl start m-fstab.mount
timeout 30 mount -a -t fuse.rumpfuse >/rf/out 2>&1
same "mount -a says what is wrong with the broken line" "$(grep -c 'broken.conf:5: ' /rf/out)" 1
same "and mounts nothing twice" "$(grep -c ' /m/fstab fuse.rumpfuse ' /proc/mounts)" 1

# A user's own.
until_ 5 systemctl is-active user@4711.service
u()
{
	timeout 30 setpriv --reuid=4711 --regid=4711 --clear-groups env -i PATH="$PATH" HOME=/home/rfuser \
	    XDG_RUNTIME_DIR=/run/user/4711 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/4711/bus "$@"
}
check "a user's manager runs" systemctl is-active user@4711.service
same "systemd-analyze verify --user" "$(u systemd-analyze verify --user --man=no \
    --recursive-errors=no rumpfuse@my.service 2>&1)" ""
check "a user's unit is started" u systemctl --user start rumpfuse@my
same "its mount" "$(u cat /home/rfuser/m/f)" mine
same "ordered by the user's generator" \
    "$(u systemctl --user show -P RequiresMountsFor rumpfuse@my | grep -c /home/rfuser/h/file)" 1
printf '[etfs /new]\nhost = ../../h/file\n' >>/home/rfuser/.config/rumpfuse/my.conf
check "reloaded" u systemctl --user reload rumpfuse@my
same "with the new key" "$(u cat /home/rfuser/m/new)" mine
check "stopped" u systemctl --user stop rumpfuse@my
refuse "and unmounted" mounted /home/rfuser/m
check "and started again" u systemctl --user start rumpfuse@my
same "without a failure" "$(u systemctl --user show -P Result rumpfuse@my)" success

figure "seconds for the boot: $(systemctl show -P UserspaceTimestampMonotonic |
    awk -v b="$(systemctl show -P ActiveEnterTimestampMonotonic multi-user.target)" \
    '{ printf "%.2f", (b - $1) / 1e6 }')"

if [ -e /dev/autofs ]; then
	check "on demand: away without use" until_ 5 sh -c '! grep -q " /m/auto fuse.rumpfuse " /proc/mounts'
fi

# What is left for the shutdown: a file that is open, a directory somebody is in; a host that
# does not answer, whose process no unit's stop continues, and one who waits for it.
systemd-run -q --unit=holder sh -c 'cd /m/one/d; exec sleep 1000 </m/fstab/f' ||
    fail "systemd-run"
check "the host below another" systemd-run -q --unit=host -p Type=notify -p DefaultDependencies=no \
    rumpfuse -f /etc/rumpfuse/host.conf
check "the other" systemctl start rumpfuse@deep
kill -STOP "$(systemctl show -P MainPID host)"
systemd-run -q --unit=waiter cat /m/deep/f || fail "systemd-run"
sleep 0.5
same "somebody waits for a host that does not answer" "$(systemctl is-active waiter)" active
same "and the host does not" "$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' \
    "/proc/$(systemctl show -P MainPID host)/status")" T
ok "the last row"
now >/rf/ended
exit 0
