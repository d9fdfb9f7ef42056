# SPDX-License-Identifier: MIT
#
# A strict reader of Prometheus' text format, as node_exporter's textfile collector
# takes it, and stricter: every family has its help and its type before its samples,
# once, and all in one place. Raises ValueError.
"""Reads what lethectl watch --metrics wrote."""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|\Z)')


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        found = LABEL.match(text, at)
        if not found or found[1] in labels:
            raise ValueError(f"labels {text!r}")
        labels[found[1]] = found[2]
        at = found.end()
    return labels


def read(text):
    """{(name, labels as sorted pairs): value}, and the types by family."""
    if not text.endswith("# EOF\n") or text.count("# EOF") != 1:
        raise ValueError("it does not end in one # EOF")
    helps, types, samples, current = set(), {}, {}, None
    for line in text.splitlines()[:-1]:
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            if name in helps or not NAME.match(name) or not words.endswith("."):
                raise ValueError(line)
            helps.add(name)
            current = name
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            if name != current or name in types or kind not in ("counter", "gauge"):
                raise ValueError(line)
            # What promtool finds fault with.
            if (kind == "counter") != name.endswith("_total"):
                raise ValueError(line)
            types[name] = kind
        else:
            found = SAMPLE.match(line)
            if not found or found[1] != current or current not in types:
                raise ValueError(line)
            labels = _labels(found[2] or "")
            key = (found[1], tuple(sorted(labels.items())))
            value = float(found[3])
            if key in samples or not math.isfinite(value):
                raise ValueError(line)
            if types[current] == "counter" and (value < 0 or value != int(value)):
                raise ValueError(line)
            samples[key] = value
    for name in types:
        if not any(key[0] == name for key in samples):
            raise ValueError(f"{name} has no sample")
    return samples, types


def value(samples, name, **labels):
    return samples[(name, tuple(sorted(labels.items())))]
