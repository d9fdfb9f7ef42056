#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The page of lethectl verify in a browser, light, dark and on a telephone: what is drawn
# of each sample is counted against the sample. Not of `make test`, Chromium being large:
# `make report-looks`. KTAP on stdout; pictures to be looked at where they are wanted.
#
#	report_looks.py PAGE [PICTURES]
import json
import os
import pathlib
import shutil
import sys
import tempfile

import report_samples
from browser import Browser

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

PLANNED = 71
DOCUMENT = Document()
LOOKS = {'light': (1280, 900, False, ''), 'dark': (1280, 900, True, ''),
         'narrow': (360, 740, False, ''), 'paper': (794, 1123, False, 'print')}
DOWN, RIGHT, ENTER = '\ue015', '\ue014', '\ue007'
UNREAD = ('unfilled', 'cut')
USED = ('button', 'link', 'textbox', 'searchbox', 'spinbutton', 'checkbox', 'table', 'region',
        'toolbar', 'group')
SHOWN = 200

# All that a test wants to know of a page, at once.
DRAWN = '''
const $ = (what) => document.querySelector(what);
const all = (what) => [...document.querySelectorAll(what)];
const many = (what) => all(what).length;
const sum = (what, name) => all(what).reduce((n, one) => n + Number(one.dataset[name] || 0), 0);
return {
	verdict: $('#verdict').className, sentence: $('h1').textContent, title: document.title,
	because: $('#because').textContent, text: document.body.innerText,
	stops: sum('#lines .bin', 'stops'), findings: sum('#lines .bin', 'findings'),
	events: sum('#lines .bin', 'events'), ticks: many('#lines .bin .tick'),
	found: many('#lines .bin b.found'), exits: many('#lines .bin.exit'),
	cores: many('#lines .bin.core'), mappings: sum('#space button', 'mappings'),
	marks: sum('#space .mark', 'findings') + Number($('#elsewhere').dataset.findings || 0),
	hatched: [many('#space .protected'), many('#space .unreadable')],
	copies: many('tr[data-copy]'), checks: many('.checks li'), notes: many('#notes li'),
	regions: many('#unsearched tbody tr'), told: many('#events tbody tr'),
	probes: many('#probes tbody tr'), processes: many('#processes tbody tr'),
	stop: Number($('#stop').value), elements: many('*'),
	foreign: many('img, iframe, object, embed, link, base, #owned') + many('script') - 2,
	tabs: [many('#lines button[tabindex="0"]'), many('#space button[tabindex="0"]')],
	bare: all('button').filter((one) => !(one.ariaLabel || one.textContent).trim()).length,
	took: performance.getEntriesByType('navigation')[0].domComplete,
};'''
WIDER = 'const page = document.documentElement; return page.scrollWidth - page.clientWidth'
CHOSEN = '''
const row = document.querySelector('tr.chosen');
return {stop: document.querySelector('#stop').value, focus: document.activeElement.textContent,
	mark: document.querySelector('#map [aria-pressed=true]')?.textContent,
	row: row && '#' + row.dataset.copy,
	bins: document.querySelectorAll('#lines b.chosen').length};'''
LABEL = "return document.activeElement.getAttribute('aria-label')"
ADDRESSES = '''
[...document.querySelectorAll('#findings th button')]
	.find((one) => one.textContent === 'Address').click();
return [...document.querySelectorAll('#findings tbody code')].map((one) => one.textContent)
	.filter((one) => one.startsWith('0x'));'''


def result(good, sentence, *why):
    return DOCUMENT.ok(good, sentence, '\n'.join(map(str, why)))


def dicts(value):
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def many(data, name):
    return len(dicts(data.get(name)))


def expected(data):
    """The same figures out of the JSON, by other means than the page's; how many are whole."""
    stops, findings, copies, regions = dicts(data.get('stops')), 0, {}, set()
    for stop in stops:
        for one in dicts(stop.get('findings')):
            findings += 1
            where = one.get('address')
            if not isinstance(where, int):
                where = (one.get('thread'), one.get('place'))
            key = (stop.get('pid'), one.get('in'), where, one.get('form'), one.get('what'))
            copies[key] = copies.get(key) or bool(one.get('whole'))
        for what in ('protected', 'unreadable'):
            regions |= {(what, stop.get('pid'), one.get('address'), one.get('bytes'),
                         one.get('why')) for one in dicts(stop.get(what))}
    notes = data.get('notes')
    return {'stops': len(stops), 'findings': findings, 'events': many(data, 'events'),
            'copies': min(len(copies), SHOWN), 'told': min(many(data, 'events'), SHOWN),
            'checks': many(data, 'checks'), 'probes': many(data, 'probes'),
            'processes': many(data, 'processes'), 'regions': min(len(regions), SHOWN),
            'notes': len(notes) if isinstance(notes, list) else 0}, copies


def shown(drawn, data):
    """The stop that the map is of, and its mappings."""
    stops = sorted(dicts(data.get('stops')), key=lambda one: one['at'])
    stop = stops[drawn['stop'] - 1] if stops else {'findings': []}
    maps = [one for one in dicts(data.get('maps')) if one.get('pid') == stop.get('pid')]
    return stop, maps[0]['mappings'] if maps else []


def counted(browser, name, data):
    """One sample, as it is drawn."""
    drawn, (want, copies) = browser.run(DRAWN), expected(data)
    got = {key: drawn[key] for key in want}
    result(got == want, name + ': as many are drawn as there are, of each thing', got, want)
    verdict = {'clean': 'clean', 'found': 'found', 'violation': 'found'}.get(
        data.get('verdict'), 'unknown')
    says = '{:,} cop{} of the secret, {} whole'.format(
        len(copies), 'y' if len(copies) == 1 else 'ies', sum(copies.values()) or 'none')
    sentence = drawn['sentence']
    result(drawn['verdict'] == verdict and sentence.lower().startswith(verdict) and
           (not copies or says in sentence) and drawn['title'].startswith(sentence),
           name + ': the verdict is the report\'s', drawn['verdict'], sentence, says)
    if name != 'fragment':
        stop, mappings = shown(drawn, data)
        got = [drawn['mappings'], drawn['marks'], *drawn['hatched']]
        want = [len(mappings), len(stop['findings']), many(stop, 'protected'),
                many(stop, 'unreadable')]
        result(got == want, name + ': the map has each mapping, finding and hatching of its stop',
               got, want)
    hidden = [one for one in '\u202e\x1b\x07' if one in drawn['text'] + drawn['title']]
    result(drawn['foreign'] == 0 and drawn['bare'] == 0 and max(drawn['tabs']) <= 1 and not hidden,
           name + ': nothing in it is of others\' making, and each button has a name',
           drawn['foreign'], drawn['bare'], drawn['tabs'], hidden)


def console(browser):
    return [one['message'] for one in browser.log('browser')
            if one['level'] in ('SEVERE', 'WARNING')]


def asked(browser):
    """Of each address that was asked for, but the pages' own: was it let? And how many pages."""
    said = [json.loads(one['message'])['message'] for one in browser.log('performance')]
    stopped = {one['params']['requestId'] for one in said
               if one['method'] == 'Network.loadingFailed'
               and one['params'].get('blockedReason') == 'csp'}
    sent = [one['params'] for one in said if one['method'] == 'Network.requestWillBeSent']
    others = [(one['request']['url'], one['requestId'] not in stopped) for one in sent
              if not one['request']['url'].endswith('.html')]
    return others, len(sent) - len(others)


def samples(browser, directory, template, pictures):
    for name, sample in report_samples.SAMPLES.items():
        data = sample()
        file = pathlib.Path(directory, name + '.html')
        file.write_text(report_samples.page(template, data), encoding='utf-8')
        wider = {}
        for look, setting in LOOKS.items():
            browser.look(*setting)
            browser.open(file.as_uri())
            wider[look] = browser.run(WIDER)
            if pictures:
                browser.picture(os.path.join(pictures, '%s-%s.png' % (name, look)))
        result(not any(wider.values()),
               name + ': it is never wider than the window, 360 pixels neither', wider)
        browser.look(*LOOKS['light'])
        browser.open(file.as_uri())
        if name in UNREAD:
            drawn = browser.run(DRAWN)
            result(drawn['verdict'] == 'unknown' and 'cannot be read' in drawn['because'],
                   name + ': it says that it cannot be read', drawn['because'])
        else:
            counted(browser, name, data)
        errors, (others, pages) = console(browser), asked(browser)
        result(not errors and not others and pages > len(LOOKS),
               name + ': no error, and nothing was asked for', errors, others, pages)


def escapes(browser, directory, template):
    """Were the names not escaped, the policy would stand before them."""
    data = json.dumps({'program': [report_samples.SCRIPT]})
    bare = template.replace(report_samples.MARKER, data)
    loose = bare.replace("default-src 'none'", "img-src *; script-src-elem 'unsafe-inline'")
    got = []
    for name, text in (('raw', bare), ('loose', loose)):
        file = pathlib.Path(directory, name + '.html')
        file.write_text(text, encoding='utf-8')
        browser.open(file.as_uri())
        ran = browser.run("return document.title === 'owned'")
        images = browser.run("return document.querySelectorAll('img').length")
        got.append([ran, images, [let for url, let in asked(browser)[0] if url.endswith('/x')]])
        console(browser)
    result(got[0] == [False, 1, [False]],
           'names that are not escaped become elements, and do nothing', got)
    result(got[1] == [True, 1, [True]], 'control: without the policy they run, and ask', got)


def keys(browser):
    browser.run("document.querySelector('#lines button').focus()")
    labels, before = [browser.run(LABEL)], browser.run(CHOSEN)['stop']
    for key in (RIGHT, RIGHT, DOWN):
        browser.key(key)
        labels.append(browser.run(LABEL))
    told = browser.run("return document.querySelector('#lines-told').textContent")
    result(len(set(labels)) == 4 and 'thread' in labels[3] and told == labels[3],
           'arrow keys go along the time line and down, and it is told where one is', labels)
    browser.key(ENTER)
    stop = browser.run(CHOSEN)['stop']
    result('; stop %s,' % stop in labels[3] and stop != before, 'Enter chooses the stop there',
           before, stop, labels[3])
    browser.key('+')
    near = browser.run(DRAWN)['stops']
    browser.key('0')
    result(0 < near < 11 and browser.run(DRAWN)['stops'] == 11,
           'plus zooms, and zero goes back', near)


def used(browser, directory):
    """What can be done with it."""
    data = report_samples.found()
    browser.look(*LOOKS['light'])
    browser.open(pathlib.Path(directory, 'found.html').as_uri())
    drawn = browser.run(DRAWN)
    got = [drawn[name] for name in ('ticks', 'exits', 'cores', 'found')]
    result(got == [11, 1, 1, 7],
           'stops far enough from others are a tick each, those with findings are marked', got)
    result('0xffffffffff600010' in drawn['text'], 'an address above 2^53 keeps its digits')
    keys(browser)
    browser.run("document.querySelector('tr[data-copy=\"5\"]').click()")
    on, label = browser.run(CHOSEN), browser.run(LABEL)
    result(on == {'stop': '7', 'focus': '#5', 'mark': '#5', 'row': '#5', 'bins': 1},
           'a row that is clicked is shown on the map and the time line', on)
    result('hex, upper case, whole' in label and '0x7f31aa06f1a0' in label,
           'where it is read out with what it is and where', label)
    browser.run("document.querySelector('#space .mark:not([aria-pressed=true])').click()")
    on = browser.run(CHOSEN)
    result(on['mark'] == on['row'] != '#5', 'and a mark that is clicked in the table', on)
    up, down = ([int(one, 16) for one in browser.run(ADDRESSES)] for _ in range(2))
    result(up == sorted(up) and down == up[::-1] and len(up) == 7,
           'the table is sorted by addresses as numbers, up and down', up, down)
    browser.run("document.querySelector('#only').click()")
    drawn = browser.run(DRAWN)
    result(drawn['copies'] == len(shown(drawn, data)[0]['findings']),
           'and shows the chosen stop alone, if it is asked to', drawn['copies'])
    browser.run("document.querySelector('#only').click();"
                "const word = document.querySelector('#filter'); word.value = 'TOKEN';"
                "word.dispatchEvent(new Event('input'))")
    result(browser.run(DRAWN)['copies'] == 1, 'or what has a word')
    nodes = [one for one in browser.cdp('Accessibility.getFullAXTree')['nodes']
             if not one['ignored']]
    roles = {one['role']['value'] for one in nodes}
    bare = [one for one in nodes
            if one['role']['value'] in USED and not one.get('name', {}).get('value')]
    result(not bare and {'banner', 'main', 'navigation', 'contentinfo', 'columnheader'} <= roles,
           'a screen reader has a name for all that can be used', bare, roles)


def much(browser, directory):
    """10,000 stops, 5,000 mappings, 4,096 findings."""
    browser.open(pathlib.Path(directory, 'huge.html').as_uri())
    drawn = browser.run(DRAWN)
    print('# huge: drawn after %d ms, in %d elements' % (drawn['took'], drawn['elements']))
    result(drawn['took'] < 10000 and drawn['elements'] < 40000,
           'much is drawn soon, and in no more elements than are seen', drawn['took'])
    took = browser.run('''
        const input = document.querySelector('#stop'), from = performance.now();
        input.value = 6001;
        input.dispatchEvent(new Event('change'));
        document.body.offsetHeight;
        return performance.now() - from''')
    print('# huge: another stop after %d ms' % took)
    drawn = browser.run(DRAWN)
    stop, mappings = shown(drawn, report_samples.huge())
    result(drawn['marks'] == len(stop['findings']) == 4096 and
           drawn['mappings'] == len(mappings) == 5000,
           'a stop with 4,096 findings in 5,000 mappings has all of them on its map',
           drawn['marks'], drawn['mappings'])
    browser.run("document.querySelector('#space .folded').click()")
    again = browser.run(DRAWN)
    result(again['mappings'] == 5000 and again['elements'] > drawn['elements'],
           'what is folded opens, and is the same')


def without_scripts(browser, directory):
    browser.cdp('Emulation.setScriptExecutionDisabled', value=True)
    browser.open(pathlib.Path(directory, 'found.html').as_uri())
    nodes = browser.cdp('Accessibility.getFullAXTree')['nodes']
    words = ' '.join(str(one.get('name', {}).get('value', '')) for one in nodes)
    result('scripts are switched off' in words, 'without scripts it says so')


def main():
    if not shutil.which('chromedriver') or not shutil.which('chromium'):
        return DOCUMENT.skip_all('no chromium and chromedriver: .ci/deps report-looks')
    template = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8')
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    if pictures:
        os.makedirs(pictures, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, Browser() as browser:
        # What a browser's own first page asks for is not the report's.
        browser.open('about:blank')
        browser.log('performance')
        samples(browser, directory, template, pictures)
        escapes(browser, directory, template)
        used(browser, directory)
        much(browser, directory)
        without_scripts(browser, directory)
    return DOCUMENT.end(PLANNED)


if __name__ == '__main__':
    sys.exit(main())
