#!/bin/bash
# In a booted system: units, fstab, the generator, a user's manager, the shutdown.
#
# The system is an overlay on the machine's own root with systemd as process 1 of a container;
# what is built is installed into it.  boot-in.sh runs inside, as a unit, and leaves its rows in
# a file.
LIMIT=120
. "$(dirname "$0")/lib.sh"

lacks()
{
	skip "a booted system: $*"
	done_testing
}
[ "$(id -u)" = 0 ] || lacks "only root can make one"
for p in systemd-nspawn systemctl meson; do
	command -v $p >/dev/null || lacks "there is no $p"
done
autofs=(--bind=/dev/autofs)
[ -e /dev/autofs ] || autofs=()

B=$S/boot
mkdir "$B"
mount -t tmpfs tmpfs "$B" && mkdir "$B/u" "$B/w" "$B/m" || lacks "no tmpfs"
mount -t overlay -o "lowerdir=/,upperdir=$B/u,workdir=$B/w" overlay "$B/m" 2>"$W/.out" ||
    lacks "no overlay over the root: $(cat "$W/.out")"
R=$B/m
# Not the machine's own node: the container changes its mode.
mknod -m 666 "$B/fuse" c 10 229 || lacks "device nodes cannot be made"
DESTDIR=$R meson install --no-rebuild -C "$(dirname "$RUMPFUSE")" >"$W/install.log" 2>&1 ||
    { fail "it can be installed"; tail "$W/install.log"; done_testing; }

# mount(8) looks for helpers there alone, which is where a package has it.
[ -e "$R/sbin/mount.rumpfuse" ] ||
    ln -s "$(cd "$R" && find usr/local/sbin -name mount.rumpfuse -printf '/%p')" "$R/sbin/mount.rumpfuse"

unit=$(find "$R/lib/systemd/system" "$R/usr/local/lib/systemd" -name 'rumpfuse@.service' 2>/dev/null |
    head -n 1)
score=$(systemd-analyze security --offline=true "$unit" |
    sed -n 's/.*exposure level[^:]*: \([0-9.]*\).*/\1/p')
at_most "systemd-analyze security" "$score" 4.0

# Nothing of the machine's own but its programs.
rm -rf "$R"/etc/systemd/system/*.wants "$R"/etc/systemd/system/*.requires \
    "$R/etc/rumpfuse" "$R/var/log/journal" "$R"/etc/rc?.d
mkdir -p "$R/etc/rumpfuse" "$R/var/log/journal" "$R/rf/h" "$R/m" "$R/etc/systemd/system"
echo 0123456789abcdef0123456789abcdef >"$R/etc/machine-id"
echo user_allow_other >"$R/etc/fuse.conf"
for u in systemd-networkd systemd-resolved systemd-timesyncd apt-daily.timer getty.target \
    systemd-logind-vtcon console-getty e2scrub_reap systemd-update-utmp ldconfig cron ssh; do
	case $u in
	*.*) ln -sf /dev/null "$R/etc/systemd/system/$u" ;;
	*) ln -sf /dev/null "$R/etc/systemd/system/$u.service" ;;
	esac
done
cp "$HERE/boot-in.sh" "$R/rf/in.sh"
cp "$TESTBIN/p-hold" "$TESTBIN/p-io" "$R/rf/" 2>/dev/null
echo content >"$R/rf/h/file"

# conf NAME TEXT…: /etc/rumpfuse/NAME.conf, mounted at /m/NAME, with these lines besides.
conf()
{
	local name=$1
	shift
	mkdir -p "$R/m/$name"
	printf '%s\n' "[daemon]" "mountpoint = /m/$name" "allow-other = yes" "$@" \
	    >"$R/etc/rumpfuse/$name.conf"
}
# unit NAME LINE…
unit()
{
	local name=$1
	shift
	printf '%s\n' "$@" >"$R/etc/systemd/system/$name"
}
wanted()
{
	mkdir -p "$R/etc/systemd/system/multi-user.target.wants"
	ln -s "$2" "$R/etc/systemd/system/multi-user.target.wants/$1"
}
enabled()
{
	wanted "rumpfuse@$1.service" "${unit#"$R"}"
}

# Those that are stopped, as hosts that do not answer: by io_uring who waits for them could not
# be killed.
conf one "transport = device" "[etfs /f]" "host = /rf/h/file" "[dir /d]" "mode = 1777"
conf fstab "[etfs /f]" "host = /rf/h/file" "[dir /d]"
conf auto "[etfs /f]" "host = /rf/h/file"
conf broken "[etfs /f]" "hots = /rf/h/file"
conf nohost "[etfs /f]" "host = /rf/no-such-file"
# What lies on file systems that come late, or not at all.
conf late "[etfs /f]" "host = /srv/late/file"
conf latefs "[etfs /f]" "host = /srv/late/file"
conf hide "[etfs /f]" "host = /srv/never/file" "missing = hide" "[etfs /l]" \
    "host = /srv/later/file" "missing = hide"
conf must "[etfs /f]" "host = /srv/never/file"
conf inner "[etfs /f]" "host = /m/one/f"
# One mount point, and nobody has enabled this one.
cp "$R/etc/rumpfuse/one.conf" "$R/etc/rumpfuse/dup.conf"
conf wait "wait = 20" "[etfs /f]" "host = /srv/later/w" "missing = wait"
conf net "[etfs /f]" "host = /rf/h/file"
conf usb "[etfs /f]" "host = /srv/late/file"
conf host "transport = device" "[etfs /f]" "host = /rf/h/file"
conf deep "[etfs /f]" "host = /m/host/f"
conf odd "[etfs /f]" 'host = /rf/h/a  b"c%d\\e'
mv "$R/etc/rumpfuse/odd.conf" "$R/etc/rumpfuse/od\\x2dd.conf"
echo odd >"$R/rf/h/a  b\"c%d\\e"
mkdir -p "$R/srv/late" "$R/srv/never" "$R/srv/later" "$R/rf/late"
echo late >"$R/rf/late/file"
unit srv-late.mount "[Unit]" "Requires=slow.service" "After=slow.service" "[Mount]" \
    "What=/rf/late" "Where=/srv/late" "Options=bind"
unit slow.service "[Unit]" "DefaultDependencies=no" "[Service]" "Type=oneshot" \
    "RemainAfterExit=yes" "ExecStart=/bin/sleep 1.2"
cat >"$R/etc/fstab" <<X
# fstab of the booted system
/etc/rumpfuse/fstab.conf /m/fstab fuse.rumpfuse nofail 0 0
/etc/rumpfuse/latefs.conf /m/latefs fuse.rumpfuse nofail,ro 0 0
/etc/rumpfuse/auto.conf /m/auto fuse.rumpfuse noauto,nofail,x-systemd.automount,x-systemd.idle-timeout=1 0 0
/etc/rumpfuse/net.conf /m/net rumpfuse _netdev,x-systemd.requires-mounts-for=/srv/late 0 0
/etc/rumpfuse/usb.conf /m/usb rumpfuse nofail,x-systemd.requires=slow.service 0 0
/etc/rumpfuse/broken.conf /m/broken fuse.rumpfuse nofail 0 0
/rf/no-such-device /srv/never ext4 nofail,x-systemd.device-timeout=1 0 0
X
wanted remote-fs.target /lib/systemd/system/remote-fs.target
for n in one late hide must inner broken; do enabled $n; done
# A unit that is ordered after a mount uses it at once.
unit user-of-late.service "[Unit]" "Requires=rumpfuse@late.service" \
    "After=rumpfuse@late.service" "[Service]" "Type=oneshot" "RemainAfterExit=yes" \
    "ExecStart=/bin/grep -qx late /m/late/f"
wanted user-of-late.service /etc/systemd/system/user-of-late.service
unit test.service "[Unit]" "After=multi-user.target" "SuccessAction=exit" \
    "FailureAction=exit" "[Service]" "Type=oneshot" "TimeoutStartSec=90" \
    "ExecStart=/bin/bash /rf/in.sh" "StandardOutput=file:/rf/in.log" \
    "StandardError=file:/rf/in.log"
wanted test.service /etc/systemd/system/test.service

# A user, whose manager runs without a login.
grep -q '^rfuser:' "$R/etc/passwd" || {
	echo 'rfuser:x:4711:4711::/home/rfuser:/bin/sh' >>"$R/etc/passwd"
	echo 'rfuser:x:4711:' >>"$R/etc/group"
	echo 'rfuser:*:19000::::::' >>"$R/etc/shadow"
}
mkdir -p "$R/home/rfuser/.config/rumpfuse" "$R/home/rfuser/m" "$R/home/rfuser/h" \
    "$R/var/lib/systemd/linger"
: >"$R/var/lib/systemd/linger/rfuser"
echo mine >"$R/home/rfuser/h/file"
printf '%s\n' "[daemon]" "mountpoint = /home/rfuser/m" "[etfs /f]" "host = ../../h/file" \
    >"$R/home/rfuser/.config/rumpfuse/my.conf"
chown -R 4711:4711 "$R/home/rfuser"

# Two containers in one control group would be each other's business.
groups=()
for g in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
	[ -f "$g/cgroup.procs" ] && mkdir "$g/rf-boot.$$.$(basename "$W")" 2>/dev/null &&
	    groups+=("$g/rf-boot.$$.$(basename "$W")")
done
mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn
begin=$(now)
(
	for g in "${groups[@]}"; do echo $BASHPID >"$g/cgroup.procs"; done
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec timeout -k 5 100 systemd-nspawn -q -D "$R" --boot \
	    --console=read-only --register=no --keep-unit --bind="$B/fuse:/dev/fuse" \
	    "${autofs[@]}" </dev/null
) >"$W/console" 2>&1
status=$?
figure "seconds from the start to the end: $(since "$begin")"
for g in "${groups[@]}"; do
	find "$g" -depth -type d -exec rmdir {} + 2>/dev/null
done
if [ ! -e "$R/rf/rows" ] && [ $status != 0 ] && ! grep -q 'Welcome to\|systemd .* running' "$W/console"; then
	lacks "a container does not start here: $(tail -n 1 "$W/console")"
fi
while IFS=$'\t' read -r how what; do
	case $how in
	ok) ok "$what" ;;
	skip) skip "$what" ;;
	figure) figure "$what" ;;
	limit)
		at_most "${what%%	*}" $(cut -f 2,3 <<<"$what")
		;;
	*) fail "$what" ;;
	esac
done <"$R/rf/rows"
if ! grep -q '^ok	the last row' "$R/rf/rows"; then
	fail "the tests inside come to their end: status $status"
	tail -n 30 "$R/rf/in.log" "$W/console" | sed 's/^/  | /'
fi

# The end, with a file open in one mount, a directory that somebody is in, and somebody who waits
# for a host that does not answer; nobody continues that before all units are down.
began=$(cat "$R/rf/ended" 2>/dev/null || echo 0)
at_most "seconds for the shutdown" "$(awk -v a="$began" -v b="$(date +%s.%N)" \
    'BEGIN { printf "%.2f", b - a }')" 15
log() { journalctl -D "$R/var/log/journal" -o short-monotonic --no-pager "$@" 2>&1; }
same "who waits for a host that does not answer is cut off" \
    "$(log | grep -c 'rumpfuse.*: /m/deep: a host path does not answer')" 1
same "nothing had to be killed" "$(log | grep -cE 'rumpfuse.*(timed out|SIGKILL|Killing process)')" 0
same "nor was left mounted" "$(log | grep -cE 'Failed unmounting /m/')" 0
cp "$R/rf/in.log" "$W/daemon-in.log" 2>/dev/null
[ -z "${RF_KEEP:-}" ] || log >"$W/journal"
umount "$R" "$B" /run/systemd/nspawn 2>/dev/null
done_testing
