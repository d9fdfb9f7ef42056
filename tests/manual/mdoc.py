#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The literal displays of an mdoc page, as somebody who reads it would copy them.

    mdoc.py PAGE ...	lists them: number, line, section and the comment before it
    mdoc.py PAGE -n N	prints the N-th, counted from 1

A display is what stands between `.Bd -literal` and `.Ed`: plain text, in which escapes
are undone and comments left out. Whatever else could stand there, as another macro or
an escape that is not known here, is an error and never passed over: what is returned
is what mandoc prints, indentation aside, and mdoc_test.py holds it to that.
"""

import argparse
import re
import sys
from dataclasses import dataclass

# By mandoc_char(7); in a terminal \- is what one types.
ONE = {'e': '\\', '-': '-', '&': ''}
NAMED = {'aq': "'", 'dq': '"', 'ga': '`', 'ha': '^', 'ti': '~', 'rs': '\\', 'at': '@',
         'sh': '#', 'ba': '|', 'lq': '\u201c', 'rq': '\u201d', 'oq': '\u2018',
         'cq': '\u2019', 'em': '\u2014', 'en': '\u2013', 'bu': '\u2022', 'hy': '\u2010',
         'mi': '\u2212', 'mc': '\u00b5', '->': '\u2192', 'bv': '\u2502', 'br': '\u2502'}
ESCAPE = re.compile(r'\\(?:f(?:[A-Z1-4]|\(..|\[..\])|\((?P<two>..)|\[(?P<long>[^]]*)\]|'
                    r'(?P<one>.))')
COMMENT = re.compile(r'\\".*')


class Problem(ValueError):
    """What is not as it is here said to be; says where."""


@dataclass(frozen=True)
class Display:
    """One display. line: where it begins; comment: `.\\" text` just before it, or ''."""
    page: str
    line: int
    section: str
    comment: str
    text: str


def unescape(text):
    """A line of text without its escapes. ValueError: one that is not known here."""
    def plain(match):
        name = match['two'] or match['long']
        if name:
            if re.fullmatch('u[0-9A-F]{4,6}', name):
                return chr(int(name[1:], 16))
            if name not in NAMED:
                raise ValueError(f'the escape {match[0]} is not known')
            return NAMED[name]
        if match['one']:
            if match['one'] not in ONE:
                raise ValueError(f'the escape {match[0]} is not known')
            return ONE[match['one']]
        return ''

    if text.endswith('\\') and not text.endswith('\\\\'):
        raise ValueError('a line that goes on in the next')
    return ESCAPE.sub(plain, text)


def comment_of(line):
    """What a line of comment says; None if it is no such line."""
    match = re.match(r'[.\']\s*\\"\s?(.*)', line)
    return match and match[1].strip()


def _text(line):
    """A line of a display; None if nothing of it is printed."""
    if comment_of(line) is not None or line.rstrip() == '.':
        return None
    if line.startswith(('.', "'")):
        raise ValueError(f'a display is plain text, and this is a macro: {line}')
    without = COMMENT.sub('', line)
    return unescape(without if without == line else without.rstrip())


def displays(page):
    """The displays of the page at this path, in order. Problem where one is not plain."""
    with open(page, encoding='utf-8') as file:
        lines = file.read().splitlines()
    found = []
    section, begun, comment = '', 0, ''
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            if begun:
                if words[:1] == ['.Ed']:
                    found.append(Display(str(page), begun, section, comment,
                                         ''.join(f'{one}\n' for one in text)))
                    begun = 0
                elif (plain := _text(line)) is not None:
                    text.append(plain)
            elif words[:1] in (['.Sh'], ['.SH']):
                section = ' '.join(words[1:]).strip('"')
            elif words[:1] == ['.Bd'] and '-literal' in words:
                begun, text = number, []
                comment = comment_of(lines[number - 2]) or ''
        except ValueError as error:
            raise Problem(f'{page}:{number}: {error}') from None
    if begun:
        raise Problem(f'{page}:{begun}: a display without an end')
    return found


def main():
    parser = argparse.ArgumentParser(usage='%(prog)s PAGE ... [-n N]')
    parser.add_argument('pages', nargs='+', metavar='PAGE')
    parser.add_argument('-n', type=int, metavar='N')
    arguments = parser.parse_args()
    try:
        found = [one for page in arguments.pages for one in displays(page)]
    except (OSError, Problem) as error:
        sys.exit(str(error))
    if arguments.n is None:
        for number, one in enumerate(found, 1):
            print(f'{number}\t{one.page}:{one.line}\t{one.section}\t{one.comment}'.rstrip())
    elif 0 < arguments.n <= len(found):
        sys.stdout.write(found[arguments.n - 1].text)
    else:
        sys.exit(f'there are {len(found)} displays')


if __name__ == '__main__':
    main()
