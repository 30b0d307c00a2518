#!/usr/bin/env python3
"""Makes opticks.txt from the plain-text edition that Go's source tree carries.

    python3 prepare.py "$(go env GOROOT)/src/testdata/Isaac.Newton-Opticks.txt" > opticks.txt

Drops the transcribers' credits and note, picture captions and the underscores
that mark italics, joins the lines of a paragraph, and keeps ASCII only, so
that a small model spends its weights on the words.
"""
import re, sys

text = open(sys.argv[1], encoding="utf-8").read()
text = text[text.index("OPTICKS:"):]
text = re.sub(r"Transcriber's Note:.*?\n\n", "", text, flags=re.S)
text = re.sub(r"\[(Illustration|Greek)[^\]]*\]", "", text)
text = text.replace("_", "").replace("æ", "ae").replace("œ", "oe")
text = text.encode("ascii", "ignore").decode()
out = []
for para in re.split(r"\n\s*\n", text):
    lines = [l.rstrip() for l in para.split("\n") if l.strip()]
    if not lines:
        continue
    if any(l.startswith("  ") or "|" in l for l in lines):
        continue  # tables of figures: nothing to learn from them
    out.append(re.sub(r" +", " ", " ".join(lines)).strip())
sys.stdout.write("\n".join(out) + "\n")
