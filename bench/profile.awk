# Gives each sample of perf script to one part of the work, and prints the parts.
#
# Variables: op, place, seconds, rate (samples a second), result (what ops_loop printed).
# A sample is its comm, then its functions from the innermost outwards, then an empty line.

function part(    i, s, d, kernel, client, dev) {
	client = comm ~ /^ops_loop/
	kernel = dso[1] ~ /kernel|\[.*\]$/ && dso[1] !~ /vdso/
	if (!kernel) {
		if (client)
			return "client, own code"
		if (dso[1] ~ /libfuse3/)
			return "daemon: libfuse"
		if (dso[1] ~ /libukfs/)
			return "daemon: vnode layer"
		if (dso[1] ~ /rumpfuse/)
			return "daemon: front end"
		if (dso[1] ~ /vdso/)
			return "daemon: clock"
		return "daemon: libc"
	}
	who = client ? "client: " : "daemon: "
	for (i = 1; i <= n; i++) {
		s = sym[i]
		if (s ~ /^(schedule|__schedule|schedule_idle|__wake_up|try_to_wake_up|ttwu|wake_up|finish_task_switch|prepare_to_wait|finish_wait|autoremove_wake|default_wake|x2apic|native_smp_send|__sysvec_reschedule|__do_sys_sched_yield|do_wait_intr|sched_)/)
			return who "wake-up, schedule"
		if (s ~ /^(fuse_copy_|copy_user|_copy_(to|from)|__copy_user|rep_movs|copy_page|clear_page|clear_user|memcpy|splice_|__splice|do_splice|iov_iter|folio_alloc|alloc_pages|__alloc_pages|copy_folio|copyin|copyout|generic_perform_write)/)
			copy = 1
		if (s ~ /^(fuse_dev_|fuse_copy)/)
			dev = 1
		if (s ~ /^fuse_/)
			fuse = 1
	}
	if (copy)
		return who "copy, pages"
	if (client)
		return fuse ? "client: FUSE request" : "client: VFS, call"
	return dev ? "daemon: FUSE device" : "daemon: host, other calls"
}

function take(    p) {
	if (n == 0)
		return
	copy = fuse = 0
	p = part()
	count[p]++
	clients += comm ~ /^ops_loop/
	total++
	n = 0
}

/^[^ \t]/ { take(); comm = $1; next }
/^[ \t]*$/ { take(); next }
NF >= 2 {
	n++
	dso[n] = $NF
	sym[n] = $2
	sub(/\+0x.*/, "", sym[n])
}

END {
	take()
	split(result, r, " ")
	if (clients == 0 || r[1] == 0) {
		print op ", " place ": no samples"
		exit 1
	}
	# So many operations perf has seen, by what one takes of the client's processor: that
	# hangs less on what else the machine is at than the wall time does.
	ops = clients / rate * 1e9 / r[3]
	printf "%s, %s: %.1f us of wall time, %.1f us of CPU time in %d samples\n", op, place,
	    r[2] / 1000, total / rate * 1e6 / ops, total
	for (p in count)
		printf "  %-28s %8.2f us  %5.1f %%\n", p, count[p] / rate * 1e6 / ops,
		    100 * count[p] / total | "sort -k1,2 -k3"
	close("sort -k1,2 -k3")
}
