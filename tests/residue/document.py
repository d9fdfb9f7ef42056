# SPDX-License-Identifier: MIT
#
# Tables and paragraphs in a document that are written, and checked, by a program. A table
# is known by the first cell of its head; a paragraph, by the comments around it.
"""What a program writes into a document."""

from pathlib import Path


class NotThere(Exception):
    """A document without what was to be replaced, or held against what is so."""


def cells(line):
    """Of a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


class Table:
    """One of a document's: its head's cells, and each row's."""

    def __init__(self, path, first):
        self.path = Path(path)
        self.lines = self.path.read_text(encoding="utf-8").splitlines()
        heads = [number for number, line in enumerate(self.lines)
                 if line.startswith(f"| {first} |")]
        if len(heads) != 1:
            raise NotThere(f"{path} has {len(heads)} tables that begin with | {first} |")
        self.start = self.end = heads[0]
        while self.end < len(self.lines) and self.lines[self.end].startswith("|"):
            self.end += 1
        self.head = cells(self.lines[self.start])
        self.rows = [cells(line) for line in self.lines[self.start + 2:self.end]]

    def write(self, rows):
        """Other rows under the same head."""
        self.lines[self.start + 2:self.end] = ["| " + " | ".join(row) + " |" for row in rows]
        self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def write_between(path, name, text):
    """Between <!-- name --> and the next comment, on lines of their own."""
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    mark = f"<!-- {name} -->"
    if lines.count(mark) != 1:
        raise NotThere(f"{path} has {lines.count(mark)} lines {mark}")
    start = lines.index(mark) + 1
    end = next((number for number in range(start, len(lines))
                if lines[number].startswith("<!--")), None)
    if end is None:
        raise NotThere(f"{path}: after {mark} there is no other comment")
    lines[start:end] = ["", *text, ""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
