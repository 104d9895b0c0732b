#!/usr/bin/env python3
"""Runs the examples of manual pages and of Markdown texts, and compares what they show.

	docs.py PAGE.8|TEXT.md …

In a manual page an example is a block (.Bd … .Ed, .nf … .fi) of the section EXAMPLES, or one
elsewhere that is marked.  Comments before it say how it is run:

	.\\" example: NAME         blocks of one name are run one after the other, in one shell
	.\\" setup: COMMAND        before the block; may be repeated, as the next two
	.\\" check: COMMAND        after it: must succeed
	.\\" expect: LINE          what a block without prompts prints
	.\\" file: NAME            the block is the contents of this file
	.\\" example: none (WHY)   is not run

In Markdown they are comments, <!-- setup: COMMAND -->, before a fenced block, and the section
is the name.  Blocks that are marked "text" are not run.

A block whose lines begin with "$ " or "# " is a session: a command (with what follows a
backslash at the end of a line, or "> ") and what it prints.  "..." in what is shown stands for
anything in a line, or alone for any lines.  What is shown to print nothing must succeed.  A block
without prompts is a script, and must succeed.

A name's blocks are run in /home/me, which is empty, as are /mnt and /srv; changes of /etc are
dropped.  They are run by an ordinary user, unless one of them has the prompt "#".
"""
import os
import re
import subprocess
import sys
import tempfile

USER, GROUP = 65534, 65534


class Bad(Exception):
    pass


class Block:
    def __init__(self, where, lines, notes):
        self.where = where
        self.lines = lines
        self.notes = notes

    def all(self, key):
        return [v for k, v in self.notes if k == key]

    def one(self, key):
        return (self.all(key) or [None])[-1]


NOTES = ("example", "setup", "check", "expect", "file")


def note(text, where):
    m = re.match(r"(\w+): ?(.*)$", text.strip())
    if not m or m.group(1) not in NOTES:
        raise Bad(f"{where}: not understood: {text}")
    return m.group(1), m.group(2)


def plain(line, where):
    """What a formatter makes of a line."""
    if line.startswith((".", "'")):
        raise Bad(f"{where}: a request in an example: {line}")
    for a, b in ((r"\&", ""), (r"\-", "-"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\ ", " ")):
        line = line.replace(a, b)
    line = re.sub(r"\\\[u([0-9A-F]{4})\]", lambda m: chr(int(m.group(1), 16)), line)
    line = line.replace(r"\e", "\0")
    if "\\" in line:
        raise Bad(f"{where}: an escape that is not known: {line}")
    return line.replace("\0", "\\")


def man_blocks(path):
    """(name, block) of a manual page."""
    section, notes, lines, n = "", [], None, 0
    for n, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        where = f"{path}:{n}"
        if lines is not None:
            if line in (".Ed", ".fi"):
                if all(row.startswith("\t") for row in lines if row):
                    lines = [row[1:] for row in lines]
                block = Block(start, lines, notes)
                name = block.one("example")
                if name is None and (section == "EXAMPLES" or notes):
                    raise Bad(f"{start}: an example without a name")
                if name is not None:
                    yield name, block
                lines, notes = None, []
            else:
                lines.append(plain(line, where))
        elif re.match(r"\.(Bd|nf\b)", line):
            start, lines = where, []
        elif line.startswith((".Sh ", ".SH ")):
            section = line[4:].strip('"')
        elif re.match(r'\.\\" (%s):' % "|".join(NOTES), line):
            notes.append(note(line[4:], where))
    if lines is not None or notes:
        raise Bad(f"{path}:{n}: ends in an example")


def md_blocks(path):
    """(name, block) of a Markdown text."""
    section, notes, lines = "", [], None
    for n, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        where = f"{path}:{n}"
        if lines is not None:
            if line.startswith("```"):
                if kind != "text":
                    yield section, Block(start, lines, notes)
                elif notes:
                    raise Bad(f"{start}: a text is not run")
                lines, notes = None, []
            else:
                lines.append(line)
        elif line.startswith("```"):
            start, lines, kind = where, [], line[3:].strip()
        elif line.startswith("## "):
            section = line[3:]
        elif line.startswith("<!-- "):
            notes.append(note(line[5:].removesuffix("-->"), where))
    if lines is not None or notes:
        raise Bad(f"{path}: ends in an example")


def session(block):
    """[(command, [line shown])], or None if there are no prompts."""
    steps, more = [], False
    if not any(re.match(r"[$#] ", line) for line in block.lines):
        return None
    for line in block.lines:
        if more or (steps and line.startswith("> ")):
            steps[-1][0] += "\n" + (line.removeprefix("> "))
        elif re.match(r"[$#] ", line):
            steps.append([line[2:], []])
        elif not steps:
            raise Bad(f"{block.where}: begins without a command")
        else:
            steps[-1][1].append(line)
            continue
        more = line.endswith("\\")
    return steps


def matches(shown, got):
    """Whether the lines that are shown can stand for those that were printed."""
    rows = [r.rstrip() for r in shown]
    while rows and not rows[-1]:
        rows.pop()
    regex = ""
    for row in rows:
        if row.strip() == "...":
            regex += r"(?:.*\n)*?"
        else:
            regex += ".*?".join(re.escape(p) for p in row.split("...")) + r"[ \t]*\n"
    text = got if not got or got.endswith("\n") else got + "\n"
    return re.fullmatch(regex, text) is not None


class Step:
    """A command of the script: what it is to print (None: anything), where it is from."""

    def __init__(self, where, command, shown, must_succeed):
        self.where, self.command = where, command
        self.shown, self.must_succeed = shown, must_succeed


def steps_of(block):
    steps = [Step(block.where, c, None, True) for c in block.all("setup")]
    name, expect = block.one("file"), block.all("expect") or None
    talk = None if name else session(block)
    if name:
        text = "".join(line + "\n" for line in block.lines)
        command = f"mkdir -p \"$(dirname {name})\" && cat >{name} <<'END OF FILE'\n{text}END OF FILE"
        steps.append(Step(block.where, command, None, True))
    elif talk is None:
        steps.append(Step(block.where, "\n".join(block.lines), expect, True))
    else:
        steps += [Step(block.where, c, shown, not shown) for c, shown in talk]
    return steps + [Step(block.where, c, None, True) for c in block.all("check")]


# Of its own: mounts, places to write to, and no mount is to be left.
PRELUDE = r"""
for d in /home /mnt /srv /run; do mount -t tmpfs -o mode=755 tmpfs $d || exit 1; done
mkdir -p /srv/.etc /srv/.work && mount -t overlay -o lowerdir=/etc,upperdir=/srv/.etc,workdir=/srv/.work \
    overlay /etc || exit 1
mknod -m 666 /srv/.fuse c 10 229 && mount --bind /srv/.fuse /dev/fuse || exit 1
mkdir -p /home/me && chown $OWNER /home/me /mnt /srv && cd /home/me || exit 1
export HOME=/home/me XDG_RUNTIME_DIR=/run/user/${OWNER#*:}
mkdir -p $XDG_RUNTIME_DIR && chown $OWNER $XDG_RUNTIME_DIR && chmod 700 $XDG_RUNTIME_DIR || exit 1
timeout -k 5 50 setpriv $AS bash "$1" >"$2" 2>&1 </dev/null
rc=$?
left=$(awk '{ for (i = 7; $i != "-"; i++) ; if ($(i + 1) ~ /^fuse\./) print $5 }' /proc/self/mountinfo)
for d in $left; do umount -l "$d"; done
[ -z "$left" ] || printf '\001left\n%s\002 0\n' "$left" >>"$2"
exit $rc
"""


def run(name, blocks):
    """A list of what is wrong."""
    steps = [s for b in blocks for s in steps_of(b)]
    root = any(re.match("# ", line) for b in blocks if not b.one("file") for line in b.lines)
    bad = []
    with tempfile.TemporaryDirectory(dir=os.environ["S"]) as tmp:
        os.chmod(tmp, 0o755)
        script, log = tmp + "/script", tmp + "/log"
        with open(script, "w", encoding="utf-8") as f:
            f.write("shopt -s expand_aliases\n")
            for i, s in enumerate(steps):
                f.write(f"printf '\\001{i}\\n'\n{s.command}\nprintf '\\002 %d\\n' $?\n")
        env = dict(os.environ, OWNER="root" if root else f"{USER}:{GROUP}",
                   AS="--" if root else f"--reuid={USER} --regid={GROUP} --clear-groups --")
        rc = subprocess.run(["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc",
                             "--propagation", "private", "bash", "-c", PRELUDE, "prelude",
                             script, log], env=env, check=False).returncode
        if rc in (124, 137):
            bad.append(f"{name}: takes longer than 50 s")
        with open(log, encoding="utf-8", errors="replace") as f:
            text = re.sub(re.escape(script) + r": line \d+:", "bash:", f.read())
    parts = dict(re.findall(r"\001(\w+)\n(.*?)\002 (?=\d+\n)", text, re.S))
    codes = dict(re.findall(r"\001(\w+)\n[^\001]*?\002 (\d+)\n", text, re.S))
    for i, s in enumerate(steps):
        got, code = parts.get(str(i)), codes.get(str(i))
        what = f"{s.where}: {name}: $ {s.command}"
        if got is None:
            bad.append(f"{what}\n  ended the shell: {text[-500:]}")
            break
        if (s.must_succeed and code != "0") or (s.shown is not None and not matches(s.shown, got)):
            want = "" if s.shown is None else "shown:\n" + "\n".join(s.shown) + "\n"
            bad.append(f"{what}\n{want}status {code}, printed:\n{got}")
    if "left" in parts:
        bad.append(f"{blocks[-1].where}: {name}: is left mounted: {parts['left']}")
    return bad


def main():
    passed = failed = none = 0
    for path in sys.argv[1:]:
        groups = {}
        try:
            for name, block in (md_blocks if path.endswith(".md") else man_blocks)(path):
                if re.match(r"none\b", block.one("example") or name):
                    if not re.fullmatch(r"none \(.+\)", block.one("example") or name):
                        raise Bad(f"{block.where}: not run, and does not say why")
                    none += 1
                    continue
                groups.setdefault(block.one("example") or name, []).append(block)
            results = {name: run(name, blocks) for name, blocks in groups.items()}
        except Bad as e:
            results = {"": [str(e)]}
        if not results and re.search(r"\.[0-9]$", path):
            results = {"": [f"{path}: no examples"]}
        for bad in results.values():
            passed, failed = passed + (not bad), failed + bool(bad)
            for b in bad:
                print("FAIL", b)
    print(f"{passed} passed, {failed} failed, {none} skipped")
    return failed != 0


sys.exit(main())
