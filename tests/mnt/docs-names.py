#!/usr/bin/env python3
"""The manual pages have every name that the programs have, and no others.

	docs-names.py DIRECTORY

Asked are the programs that are found in PATH, for their --help and by mistakes that make them
list what they expect; and the pages in DIRECTORY, as they are formatted.
"""
import os
import re
import subprocess
import sys
import tempfile

DOC = sys.argv[1]
passed = failed = 0


def same(what, a, b, name_a, name_b):
    global passed, failed
    if set(a) == set(b):
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: only {name_a}: {sorted(set(a) - set(b))};"
              f" only {name_b}: {sorted(set(b) - set(a))}")


def out(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return p.stdout.decode(errors="replace")


def page(name):
    """What a reader sees, a paragraph to a line."""
    return out("groff", "-mandoc", "-Kutf8", "-Tutf8", "-P-cbou", "-rLL=3000n", f"{DOC}/{name}")


def options(text):
    return set(re.findall(r"(?<![\w=-])--?[a-zA-Z][\w-]*", text))


def items(text, section=None):
    """The tagged paragraphs of a page, of one section or of all."""
    if section:
        text = re.split(r"(?m)^(?=[A-Z])", text.split(f"\n{section}\n", 1)[1])[0]
    return re.findall(r"(?m)^ {5,7}(\S.*)", text)


def option_items(text):
    """Options that have a paragraph, without what follows the tag in its line."""
    return set().union(*[options(re.split(r"  ", i)[0]) for i in items(text) if i.startswith("-")])


def help_options(text):
    return set().union(*[options(re.split(r" {2,}", line.strip())[0])
                         for line in text.split("\n") if re.match(r" +-", line)])


def expected(text):
    """The words of "expected A, B or C"."""
    m = re.search(r"expected (.*)", text)
    return re.split(r", or |, | or ", m.group(1)) if m else []


def check(conf):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(conf)
        f.flush()
        return out("rumpfuse", "--check", f.name)


def configuration():
    with open(f"{DOC}/rumpfuse.conf.5", encoding="utf-8") as f:
        source = f.read()
    sections = dict(re.findall(r"(?ms)^\.Ss (\[.*?\])\n(.*?)(?=^\.S[sh])", source))
    kinds = re.findall(r"\w+", re.sub(r" and a path| or | and |expected", " ",
                                      check("[_]\n").split("expected", 1)[-1]))
    same("kinds of sections", kinds, [re.match(r"\[(\w+)", s).group(1) for s in sections],
         "the program", "rumpfuse.conf(5)")
    for head, text in sections.items():
        kind = re.match(r"\[(\w+)", head).group(1)
        said = check(f"[{head[1:-1].replace('PATH', '/x')}]\n_ = _\n")
        m = re.search(r"unknown key, (expected .*)", said)
        keys = [k for k in expected(m.group(1) if m else "") if k != "none"]
        written = dict(re.findall(r"(?ms)^\.It Ic ([\w-]+)(.*?)(?=^\.It Ic |\Z)", text))
        same(f"keys of {head}", keys, set(written) - {"path"}, "the program", "rumpfuse.conf(5)")
        for key in keys:
            said = check(f"[{head[1:-1].replace('PATH', '/x')}]\n{key} = _\n")
            m = re.search(rf"\] {key}: \"_\" is not [^\n]*?, (expected [^\n]*)", said)
            words = expected(m.group(1)) if m else []
            # "expected auto or 1 to 1024": only lists of words.
            if not words or not all(re.fullmatch(r"[a-z][a-z-]*", w) for w in words):
                continue
            text_of = written.get(key, "")
            if set(words) == {"yes", "no", "true", "false"}:
                words = ["boolean"]
            elif set(words) == {"rw", "ro"}:
                words = ["access"]
            shown = re.findall(r"[\w-]+", " ".join(re.findall(
                r"(?m)^(?:\.(?:It )?Cm|\.Ic [\w-]+ No =|\s*No =) ?(.*)|^(.*)$", text_of)[0]))
            shown += re.findall(r"(?m)^\.It Cm ([\w-]+)", text_of)
            same(f"{head} {key}", words, set(words) & set(shown), "the program", "rumpfuse.conf(5)")


def mount_options():
    """Each that a page or completion has is taken."""
    global passed, failed
    words = set()
    with open(f"{DOC}/rumpfuse.8", encoding="utf-8") as f:
        text = re.search(r"(?s)\.Ss Mount options(.*?)\.S[hs]", f.read()).group(1)
    choices = {}
    for line in re.findall(r"(?m)^\.It Cm (.*)", text):
        m = re.match(r"(\w+) Ns = Ns Cm ([\w-]+(?: \| [\w-]+)*)$", line)
        if m:
            choices[m.group(1)] = m.group(2).split(" | ")
            words.add(m.group(1))
            continue
        words |= {w for w in re.findall(r"\b[a-z_]+\b", re.sub(r"x- Ns Ar.*|Ns Ar \w+", "", line))}
    with open(f"{DOC}/../dist/completion/bash/rumpfuse", encoding="utf-8") as f:
        offered = re.search(r"(?s)_rumpfuse_options\(\).*?\"\$\{cur##\*,\}\" (.*?)\n}", f.read()).group(1)
    offered = set(re.findall(r"\w+", offered))
    same("mount options that completion offers", offered - words, [], "there", "")
    for w in sorted(words):
        said = "".join(out("rumpfuse", "--check", "-o", f"{w}={c}", "none")
                       for c in choices.get(w, ["1"]))
        if "unknown" in said or "nobody" in said:
            said = out("rumpfuse", "--check", "-o", w, "none")
        if "rumpfuse:" in said:
            failed += 1
            print(f"FAIL -o {w}: {said}")
        else:
            passed += 1


def ukfs():
    commands = re.findall(r"(?m)^  (\w+)", out("ukfs", "--help").split("Commands:\n")[1])
    written = {re.match(r"[a-z]+", i).group(): i for i in items(page("ukfs.1"), "COMMANDS")
               if re.match(r"[a-z]+( |$)", i)}
    same("commands of ukfs", commands, written, "the program", "ukfs(1)")
    for c in commands:
        usage = out("ukfs", "-", "help", c)
        letters = [{x for w in re.findall(r"(?:^|[\[| ])-([A-Za-z0-9]+)", t) for x in w}
                   for t in (usage, written.get(c, "").split("  ")[0])]
        if c not in ("find", "help") and (letters[0] or letters[1]):
            same(f"options of ukfs {c}", *letters, "the program", "ukfs(1)")


def references():
    global passed, failed
    pages = os.listdir(DOC)
    for name in pages:
        with open(f"{DOC}/{name}", encoding="utf-8") as f:
            source = f.read()
        refs = re.findall(r"\bXr ([\w.@-]+) (\d)", source) + re.findall(r"\.BR ([\w.]+) +\((\d)\)", source)
        for ref, section in set(refs):
            if f"{ref}.{section}" in pages or not out("man", "-w", section, ref).startswith("No manual"):
                passed += 1
            else:
                failed += 1
                print(f"FAIL {name} refers to {ref}({section}), which is not there")


for prog in ("rumpfuse.8", "rumpfusectl.8", "ukfs.1"):
    asked = help_options(out(prog[:-2], "--help"))
    same(f"options of {prog[:-2]}", asked, option_items(page(prog)), "the program", prog)
    with open(f"{DOC}/../dist/completion/zsh/_{prog[:-2]}", encoding="utf-8") as shell:
        same(f"options of {prog[:-2]}", {o for o in asked if o.startswith("--")},
             {o for o in options(shell.read().replace("{", " ").replace(",", " ")) if o in asked and o.startswith("--")},
             "the program", "zsh's completion")
same("options of mount.rumpfuse",
     {"-" + c for w in re.findall(r"-([a-zA-Z]+)\b", out("mount.rumpfuse", "-?").split("usage:")[-1]) for c in w},
     {o for o in option_items(page("mount.rumpfuse.8")) if len(o) == 2}, "the program", "mount.rumpfuse.8")
configuration()
mount_options()
ukfs()
references()
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
