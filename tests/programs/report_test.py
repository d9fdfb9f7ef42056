#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The page of lethectl verify, read as text: that it asks nobody for anything, that what
# its policy lets run is what is in it, that names in the data stay names, and that it can
# be read by all. How it looks is report_looks.py's. KTAP on stdout.
#
#	report_test.py PAGE
import base64
import collections
import hashlib
import html.parser
import json
import os
import re
import sys

import report_samples

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

PLANNED = 17
DOCUMENT = Document()
VOID = {'meta', 'input', 'br', 'hr', 'img', 'link'}
# What would ask for something; what would make HTML or a program of data.
ASKING = r'\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|Worker|Image|' \
    r'WebTransport|RTCPeerConnection)\b|\bimport\b|window\.open|location\s*[.=]'
MAKING = r'\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|srcdoc|' \
    r'eval|Function|setHTMLUnsafe|parseHTMLUnsafe)\b|document\.write|' \
    r'\bon[a-z]{3,}\b|[\'"]style[\'"]'
NAMING = ('src', 'href', 'srcset', 'action', 'formaction', 'data', 'poster', 'ping', 'background',
          'cite', 'xlink:href', 'manifest', 'style')


def result(good, sentence, *why):
    return DOCUMENT.ok(good, sentence, '\n'.join(map(str, why)))


class Page(html.parser.HTMLParser):
    """Its elements, what is wrong with their nesting, and the text of some."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.wrong = [], [], []
        self.feed(text)
        self.close()
        self.wrong += ['<%s> is not closed' % tag for tag, _ in self.open]

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        if len(attrs) != len(dict(attrs)):
            self.wrong.append('<%s> has an attribute twice' % tag)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append((tag, element))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.wrong.append('</%s> at line %d closes nothing' % (tag, self.getpos()[0]))
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, element in self.open:
            element[2].append(data)

    def all(self, *tags):
        return [one for one in self.elements if one[0] in tags]


def text(element):
    return ''.join(element[2])


def references(page, css):
    """All that names something elsewhere."""
    named = [(tag, name, value) for tag, attributes, _ in page.elements
             for name, value in attributes.items() if name in NAMING or name.startswith('on')]
    return [one for one in named if not (one[1] == 'href' and one[2].startswith('#'))] + \
        re.findall(r'url\s*\(|@import|image-set|src\s*\(|@font-face', css)


def digest(inside):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()


def policy_holds(page, css, js):
    policies = [a['content'] for _, a, _ in page.all('meta')
                if a.get('http-equiv', '').lower() == 'content-security-policy']
    if len(policies) != 1:
        return False
    parts = dict(part.split(None, 1) for part in policies[0].split(';'))
    return {name: value.strip() for name, value in parts.items()} == {
        'default-src': "'none'", 'base-uri': "'none'", 'form-action': "'none'",
        'style-src': digest(css), 'script-src': digest(js)}


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else ''.join(2 * c for c in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


KINDS = ('stack', 'heap', 'file', 'anonymous', 'secret', 'kernel', 'device')
# Text on what it stands on: 4.5, and of what is no text: 3, as WCAG's AA has it.
PAIRS = [(4.5, one, on) for one in ('ink', 'dim', 'link', 'good', 'bad', 'open')
         for on in ('page', 'panel')] + \
    [(4.5, 'ink', on) for on in KINDS + ('chosen', 'good-tint', 'bad-tint', 'open-tint')] + \
    [(4.5, one, one + '-tint') for one in ('good', 'bad', 'open')] + \
    [(4.5, 'on-bad', 'bad'), (4.5, 'bad', 'chosen'), (4.5, 'dim', 'chosen'), (3, 'edge', 'panel')]


def too_faint(css):
    blocks = [dict(re.findall(r'--([\w-]+):\s*(#\w+)', block))
              for block in re.findall(r':root \{([^}]*)\}', css)]
    light, dark = blocks[0], {**blocks[0], **blocks[1]}
    return ['%s on %s: %.2f' % (one, on, contrast(theme[one], theme[on]))
            for theme in (light, dark) for least, one, on in PAIRS
            if contrast(theme[one], theme[on]) < least]


def structure(page, source, css, js):
    ids = [a['id'] for _, a, _ in page.elements if 'id' in a]
    made = re.findall(r"\bid: '([\w-]+)'", js)
    result(not page.wrong, 'what is opened is closed, in order', *page.wrong)
    twice = [one for one, many in collections.Counter(ids + made).items() if many > 1]
    result(ids and not twice, 'no id is there twice', *twice)
    named = [a[name] for _, a, _ in page.elements
             for name in ('for', 'aria-labelledby') if name in a]
    named += [a['href'][1:] for _, a, _ in page.all('a')]
    named += re.findall(r"\$\('([\w-]+)'\)", js)
    lost = sorted(set(named) - set(ids) - set(made))
    result(len(named) > 40 and not lost, 'and what is named by its id is there', *lost)
    labels = {a.get('for') for _, a, _ in page.all('label')}
    bare = [a for tag, a, inside in page.all('input', 'button', 'select')
            if not (a.get('aria-label') or a.get('id') in labels or ''.join(inside).strip())]
    bare += [a for tag, a, _ in page.all('button') if a.get('type') != 'button']
    bare += [a for tag, a, _ in page.elements
             if a.get('role') in ('group', 'toolbar', 'region') and not a.get('aria-label')]
    result(not bare, 'what can be used has a name', *bare)
    counts = [len(page.all(tag)) for tag in ('header', 'main', 'nav', 'footer', 'h1', 'title')]
    sections = page.all('section')
    result(counts == [1] * 6 and sections and len(page.all('h2')) == len(sections) and
           all(a.get('aria-labelledby') for _, a, _ in sections) and
           page.all('html')[0][1].get('lang') == 'en',
           'it has its landmarks, its language, and a heading each part', counts)
    head = [(a.get('name'), a.get('content')) for _, a, _ in page.all('meta')]
    result('charset="utf-8"' in source[:1024] and ('color-scheme', 'light dark') in head and
           ('viewport', 'width=device-width, initial-scale=1') in head,
           'it says how it is written, and that it fits what is narrow or dark')
    result('JSON' in ''.join(map(text, page.all('noscript'))),
           'without scripts it says where all of it is')
    faint = too_faint(css)
    result(len(PAIRS) > 20 and not faint, 'no letter is too faint, light or dark', *faint)
    looks = ('@media print', 'prefers-color-scheme: dark', 'max-width: 40rem', ':focus-visible')
    result(all(words in css for words in looks),
           'it has a look for paper, for the dark, for what is narrow, and for the focus')


def names_stay_names(source, page):
    """What the samples would be, were they not written as they have to be."""
    for name in ('found', 'hostile', 'fragment'):
        data = report_samples.SAMPLES[name]()
        filled = Page(report_samples.page(source, data))
        same = [one[:2] for one in filled.elements] == [one[:2] for one in page.elements]
        result(same and not filled.wrong and json.loads(text(filled.all('script')[0])) == data,
               'of "%s" every element is the page\'s, and the JSON is read back as it was' % name)
    raw = Page(source.replace(report_samples.MARKER, json.dumps(report_samples.hostile())))
    result(len(raw.elements) > len(page.elements),
           'control: names that are not escaped do become elements')


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        source = file.read()
    page = Page(source)
    css, js = (''.join(map(text, page.all(tag)[-1:])) for tag in ('style', 'script'))
    scripts = page.all('script')
    types = [a.get('type') for _, a, _ in scripts]
    result(source.count(report_samples.MARKER) == 1 and types == ['application/json', 'module'] and
           text(scripts[0]) == report_samples.MARKER and scripts[0][1].get('id') == 'data',
           'there is one place for the data, and nothing else in it')
    elsewhere = references(page, css) + [m[0] for m in re.finditer(ASKING, js)]
    elsewhere += re.findall(r'\w+://\S*', css + js)
    result(len(css) > 2000 and len(js) > 2000 and not elsewhere, 'it names nothing elsewhere',
           *elsewhere)
    making = [m[0] for m in re.finditer(MAKING, js)]
    result('textContent' in js and not making, 'it makes no HTML and no program of data', *making)
    result(policy_holds(page, css, js),
           'its policy lets its own style and script be, by their hashes, and nothing else')
    structure(page, source, css, js)
    names_stay_names(source, page)
    return DOCUMENT.end(PLANNED)


if __name__ == '__main__':
    sys.exit(main())
