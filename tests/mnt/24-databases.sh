#!/bin/bash
# Databases whose clients and servers are killed: sqlite3 with a WAL and four writers, and
# PostgreSQL with pgbench; in memory and on a directory key.
# first
LIMIT=300
. "$(dirname "$0")/lib.sh"
M=$W/m
SCALE=1 SECONDS_EACH=3
# A sanitizer build need not wait for a disk.
host=$W/host
[ $MEASURE = 1 ] || host=$S/host

mkdir -p "$host" "$W/bare" "$W/sql"
if getent passwd postgres >/dev/null; then
	chown postgres: "$host" "$W/bare"
	owner="uid = postgres
gid = postgres"
fi
rf_mount "[daemon]
allow-other = yes
[rumpfs]
mode = 0755
[dir /mem]
mode = 0700
${owner:-}
[etfs /key]
host = $host
special = yes" "$M" || done_testing

# writer DB N FIRST: rows FIRST… of writer N one by one, each acknowledged by a line that is
# written after the commit; the pid is in $!.
writer()
{
	local ack=$W/sql/ack.$2.$3
	awk -v w="$2" -v i="$3" 'BEGIN { for (; ; i++)
	    print "BEGIN IMMEDIATE; INSERT INTO t VALUES (" w ", " i ", hex(zeroblob(" i % 700 \
		" + 1))); UPDATE n SET rows = rows + 1; COMMIT; SELECT " w ", " i ";" }' \
	    2>/dev/null > >(exec stdbuf -oL sqlite3 -bail -separator ' ' \
	    -cmd '.timeout 60000' "$1" >"$ack" 2>"$ack.err") &
}

# Waits until so many rows are acknowledged; a busy disk takes its time.
enough()
{
	local i
	for ((i = 0; i < 600; i++)); do
		[ "$(cat "$W/sql"/ack.*[0-9] | wc -l)" -lt "$1" ] || break
		sleep 0.1
	done
}

# The processes that have a file open.
users_of()
{
	local f d
	for f in /proc/[0-9]*/fd/*; do
		[ "$(readlink "$f")" = "$1" ] || continue
		d=${f#/proc/}
		echo "${d%%/*}"
	done 2>/dev/null | sort -u
}

sqlite()
{
	local what=$1 db=$2/t.db r w pids lost
	rm -f "$W/sql"/*
	check "$what: making a database with a WAL" sqlite3 "$db" "PRAGMA journal_mode = wal;
	    CREATE TABLE t (w INTEGER, i INTEGER, text TEXT, PRIMARY KEY (w, i));
	    CREATE INDEX x ON t (text); CREATE TABLE n (rows INTEGER); INSERT INTO n VALUES (0);"
	for w in 1 2 3 4; do writer "$db" $w 0; done
	for r in 1 2 3; do
		sleep 0.6
		enough $((r * 20))
		pids=$(users_of "$db")
		same "$what: four writers are at it" "$(echo "$pids" | wc -w)" 4
		# Two of them, and at the end all.
		[ $r = 3 ] || pids=$(echo "$pids" | shuf -n 2)
		kill -9 $pids
		[ $r = 3 ] && break
		for w in 5 6; do writer "$db" $((w + r * 2)) $((r * 100000)); done
	done
	for ((r = 0; r < 100; r++)); do
		[ -n "$(users_of "$db")" ] || break
		sleep 0.05
	done
	same "$what: no writer complained" "$(cat "$W/sql"/*.err)" ""
	same "$what: integrity" "$(sqlite3 "$db" 'PRAGMA integrity_check')" ok
	sqlite3 -separator ' ' "$db" 'SELECT w, i FROM t' | sort >"$W/sql/rows"
	cat "$W/sql"/ack.*[0-9] | grep -E '^[0-9]+ [0-9]+$' | sort >"$W/sql/acked"
	lost=$(comm -13 "$W/sql/rows" "$W/sql/acked" | wc -l)
	figure "$what: sqlite3, rows acknowledged: $(wc -l <"$W/sql/acked"), there:" \
	    "$(wc -l <"$W/sql/rows")"
	same "$what: acknowledged rows that are lost" "$lost" 0
	check "$what: enough was written" test "$(wc -l <"$W/sql/acked")" -gt 40
	# A commit is whole or not there; one for each writer may be without its line.
	same "$what: rows and their count" "$(sqlite3 "$db" 'SELECT rows FROM n')" \
	    "$(wc -l <"$W/sql/rows")"
	check "$what: no more than was being written" test \
	    "$(wc -l <"$W/sql/rows")" -le $(($(wc -l <"$W/sql/acked") + 8))
	same "$what: the texts" "$(sqlite3 "$db" \
	    'SELECT count(*) FROM t WHERE text <> hex(zeroblob(i % 700 + 1))')" 0
	check "$what: the WAL can be put back" sqlite3 "$db" \
	    "PRAGMA wal_checkpoint(TRUNCATE); VACUUM;"
	same "$what: integrity" "$(sqlite3 "$db" 'PRAGMA integrity_check')" ok
	rm "$db"*
}

PG=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

pg_exec()
{
	cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups \
	    env -i PATH="$PG:/usr/bin:/bin" LC_ALL=C PGHOST="$D/pg" PGDATABASE=postgres "$@"
}

as_pg()
{
	(pg_exec "$@")
}

pg_query()
{
	as_pg psql -X -A -t -c "$1" 2>&1
}

pg_up()
{
	check "$what: the server starts" as_pg pg_ctl -D "$D/pg" -l "$D/pg.log" -w -t 200 start ||
	    tail -n 30 "$D/pg.log" | sed 's/^/  | /'
}

# The server's processes: the first is the one that started the others.
pg_pids()
{
	local p
	p=$(head -n 1 "$D/pg/postmaster.pid")
	echo "$p" $(ps -o pid= --ppid "$p")
}

# pgbench moves money: what is in accounts, tellers, branches and the history is the same.
pg_consistent()
{
	same "$what: $1: the sums agree" "$(pg_query 'SELECT count(DISTINCT s) FROM (
	    SELECT sum(abalance) s FROM pgbench_accounts UNION ALL
	    SELECT sum(tbalance) FROM pgbench_tellers UNION ALL
	    SELECT sum(bbalance) FROM pgbench_branches UNION ALL
	    SELECT coalesce(sum(delta), 0) FROM pgbench_history) x')" 1
	check "$what: $1: as many transactions as were acknowledged" test \
	    "$(pg_query 'SELECT count(*) FROM pgbench_history')" -ge "$(cat "$D"/log.* | wc -l)"
}

# In the background for so many seconds, with a line for each transaction in log.*; its pid,
# and not that of a shell around it, is in $bench.
pg_bench()
{
	(pg_exec sh -c "cd $D && exec pgbench -n -c 4 -j 2 -T $1 -l --log-prefix=log") \
	    >"$W/bench.out" 2>&1 &
	bench=$!
}

postgres()
{
	local what=$1 D=$2 bench pids p
	check "$what: initdb" as_pg initdb -D "$D/pg" -k -N -A trust || return
	# Its shared memory and its sockets are files of the mount too.
	cat >>"$D/pg/postgresql.conf" <<X2
listen_addresses = ''
unix_socket_directories = '$D/pg'
dynamic_shared_memory_type = mmap
shared_buffers = 16MB
max_wal_size = 64MB
checkpoint_timeout = 30s
X2
	pg_up
	check "$what: pgbench -i" as_pg pgbench -i -q -s $SCALE
	pg_bench $SECONDS_EACH
	wait $bench
	same "$what: pgbench" $? 0 || tail -n 20 "$W/bench.out"
	tps[${#tps[@]}]="$what $(awk '/^tps/ { printf "%d", $3 }' "$W/bench.out")"
	[ "$3" = all ] || { as_pg pg_ctl -D "$D/pg" -m fast stop >/dev/null; return; }
	pg_consistent "after a run"

	pg_bench 60
	sleep 1
	kill -9 $bench
	wait $bench 2>/dev/null
	pg_consistent "the clients were killed"

	pg_bench 60
	sleep 1
	p=$(pg_query "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' LIMIT 1")
	check "$what: a backend is killed" kill -9 "$p"
	wait $bench
	for ((p = 0; p < 1200; p++)); do
		as_pg pg_isready -q && break
		sleep 0.1
	done
	check "$what: it has recovered" grep -q 'all server processes terminated' "$D/pg.log"
	pg_consistent "a backend was killed"

	pg_bench 60
	sleep 1
	pids=$(pg_pids)
	kill -9 $pids
	wait $bench
	for p in $pids; do rf_gone "$p"; done
	pg_up
	check "$what: it has recovered" grep -q 'automatic recovery in progress' "$D/pg.log"
	pg_consistent "the server was killed"
	check "$what: pg_amcheck" as_pg pg_amcheck --all --install-missing --heapallindexed \
	    --parent-check
	check "$what: pg_dump" as_pg sh -c "pg_dump -f $D/dump"
	pg_query 'DROP TABLE pgbench_accounts, pgbench_tellers, pgbench_branches,
	    pgbench_history' >/dev/null
	check "$what: what was dumped can be read again" as_pg psql -q -X -v ON_ERROR_STOP=1 \
	    -f "$D/dump"
	pg_consistent "read from a dump"
	check "$what: the server stops" as_pg pg_ctl -D "$D/pg" -m fast -w stop
	check "$what: pg_checksums" as_pg pg_checksums --check -D "$D/pg"
	same "$what: nothing is corrupt, says the server" \
	    "$(grep -cE 'PANIC|could not (read|write|fsync)|invalid page' "$D/pg.log")" 0
}

sqlite "in memory" "$M/mem"
sqlite "a key" "$M/key"

if [ -z "$PG" ] || [ -z "${owner:-}" ]; then
	skip "PostgreSQL is not installed"
else
	tps=()
	postgres "the bare disk" "$W/bare" short
	postgres "in memory" "$M/mem" all
	postgres "a key" "$M/key" all
	figure "pgbench, transactions a second: $(printf '%s; ' "${tps[@]}")"
fi
rf_umount "$M"
done_testing
