#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl verify: that it finds what is planted, at the end of a section, as a program
# ends and in its core; what it writes, and what it refuses. KTAP on stdout.
#
#	verify_test.py LETHECTL BUILD
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from verifying import (ACCESS, BUILD, CORE, DUMPED, END, EXIT, LETHECTL, MARK, SECTION, SUBJECT,
                       SWAP, Said, command, end, key, note, result, run, secret_file)

MAINJOB = os.path.join(BUILD, 'tests/residue/lethe-mainjob')
PLANNED = 59


def places():
    said = Said('clean', '3')
    said.is_(said.status == 0 and said.json['verdict'] == 'clean' and
             said.json['sections'] == said.json['searched_sections'] == 3 and
             said.checks[SECTION] == said.checks[EXIT] == said.checks[END] == 'passed',
             'three sections that leave nothing: each is searched, and clean')
    said.is_(said.json['stops'][0]['register_bytes'] > 500 and
             said.json['stops'][0]['searched_bytes'] > 1 << 20,
             'with all of its memory and registers')
    said = Said('global')
    found = said.found('section end')
    said.is_(said.status == 1 and len(found) == 1 and found[0]['whole'] and
             found[0]['symbol'] == 'kept' and said.checks[SECTION] == 'failed' and
             said.checks[EXIT] == 'passed',
             'what is in a variable at the end of a section is found there, and not later')
    said = Said('stack')
    found = said.found('section end')
    said.is_(said.status == 1 and found and 'dead part' in found[0]['place'],
             'on dead stack, outside of the section')
    said = Said('heap')
    said.is_(said.status == 1 and said.found('exit')[0]['mapping'] == '[heap]' and
             said.checks[SECTION] == 'passed' and said.checks[EXIT] == 'failed',
             'in a block that was freed, as the program ends')
    said = Said('exits_inside')
    found = said.found('exit')
    said.is_(said.status == 1 and found and found[0]['in'] == 'register' and
             found[0]['place'].endswith('mm5'),
             'in the very register, of one that ends inside of a section')
    said = Said('ends')
    said.is_(said.status == 0 and said.json['sections'] == 2,
             'a section that pthread_exit() or longjmp() ends is one that has ended')


def plain():
    secret = key(16).hex().encode()
    with secret_file(secret) as path:
        program = ['sh', '-c', 'x=$(cat %s); test -n "$x"' % path]
        answer = run(path, '--json', '--no-probes', program=program)
        said = json.loads(answer.stdout)
        checks = {check['name']: check for check in said['checks']}
        result(answer.returncode == 1 and checks[EXIT]['status'] == 'failed' and
               checks[SECTION]['status'] == 'not asked' and
               'no mark of liblethe' in checks[SECTION]['detail'],
               'a program that has no marks is searched as it ends, and that is said')
        result(said['backend'] is None and said['level'] is None,
               'and it has no backend')
    with secret_file() as path:
        result(run(path, '--no-probes', program=['true']).returncode == 0,
               'a program that never had it is clean')


def core():
    pattern = open('/proc/sys/kernel/core_pattern').read().strip()
    missing = 'core_pattern is ' + pattern if '/' in pattern or pattern[0] == '|' else None
    with tempfile.TemporaryDirectory() as directory:
        said = Said('crash', options=('--core',), cwd=directory)
        found = [finding for finding in said.found('core') if finding['in'] == 'file']
        said.is_(said.status == 1 and len(found) == 1 and 'memory at' in found[0]['place'],
                 'a core dump is searched, and what is there is found', missing)
        said.is_(said.json['exit'] == {'signal': 6, 'core': True} and
                 said.checks[CORE] == said.checks[EXIT] == 'failed',
                 'and likewise what the kernel would have dumped', missing)
        result(not os.listdir(directory), 'the core is deleted', missing=missing)
        said = Said('crash_clean', options=('--core', '--keep-core'), cwd=directory)
        said.is_(said.status == 2 and said.checks[CORE] == 'passed' and
                 said.checks[END] == 'unknown' and len(os.listdir(directory)) == 1,
                 'a crash without a copy: nothing found, no verdict, and the core is kept', missing)
    with tempfile.TemporaryDirectory() as directory:
        said = Said('crash', cwd=directory)
        said.is_(said.status == 1 and said.checks[CORE] == 'failed' and
                 (missing or not os.listdir(directory)),
                 'without --core none is dumped that was not, and what would be in it is judged')
    said = Said('heap', options=('--core',))
    said.is_(said.status == 1 and said.checks[CORE] == 'failed',
             'of one that did not crash, with --core, it is judged what a dump had had')
    said = Said('clean', '1', options=('--core',))
    said.is_(said.status == 0 and said.checks[CORE] == said.checks[DUMPED] == 'passed',
             'and secret pages are in no dump', None if said.json['backend'] else 'no Lethe')


def late():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'secret')
        for keeps in (1, 0):
            answer = run(None, '--json', '--no-probes', '--secret-file', path,
                         program=[SUBJECT, 'makes', path, str(keeps)])
            said = json.loads(answer.stdout)
            result(answer.returncode == keeps and said['secret']['given'] and
                   said['searched_sections'] == 1,
                   'a secret that the program makes itself: %s' % ('found' if keeps else 'clean'))
            os.unlink(path)
        answer = run(None, '--json', '--no-probes', '--secret-file', path, program=['true'])
        said = json.loads(answer.stdout)
        result(answer.returncode == 2 and 'was not there' in str(said['notes']),
               'one that never comes: no verdict')
        answer = run(None, '--no-probes', '--secret-file', '/dev/zero', program=['true'])
        result(answer.returncode == 2 and b'no plain file' in answer.stderr, 'no file')
    answer = run(None, '--no-probes', program=[SUBJECT, 'clean', '/dev/urandom', '3'])
    lines = answer.stderr.decode().splitlines()
    result(answer.returncode == 0 and 'no secret was given' in lines[0] and
           any('3 section ends' in line for line in lines),
           'without a secret the first line says so, and sections are counted')


def outputs():
    with secret_file() as path, tempfile.TemporaryDirectory() as directory:
        html, junit, file = (os.path.join(directory, name)
                             for name in ('a.html', 'a.xml', 'a.json'))
        hostile = '</script><!--<b>&"\x01\xff'
        answer = run(path, '--json', '--no-probes', '--report', html, '--junit', junit,
                     '--json-file', file, program=[SUBJECT, 'global', path, '0', hostile])
        said = json.loads(answer.stdout)
        with open(file) as text:
            result(json.load(text) == said and answer.returncode == 1,
                   'the file of JSON is what --json prints')
        members = {'schema', 'verb', 'verdict', 'program', 'started', 'seconds', 'secret',
                   'backend', 'level', 'exit', 'processes', 'stops', 'maps', 'events', 'probes',
                   'pages', 'checks', 'notes'}
        result(not members - set(said) and re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$',
                                                    said['started']),
               'it has the members that the manual names')
        stop = said['stops'][0]
        result(not {'number', 'at', 'pid', 'thread', 'why', 'section', 'searched_bytes',
                    'register_bytes', 'stopped_ns', 'complete', 'protected', 'unreadable',
                    'findings'} - set(stop) and
               not {'form', 'what', 'whole', 'bytes', 'in', 'place', 'address', 'offset',
                    'symbol', 'mapping', 'rights'} - set(stop['findings'][0]) and
               stop['protected'][0]['why'] in ('memfd_secret', 'a region of Lethe\'s'),
               'likewise each stop and finding; secret pages are named')
        mappings = said['maps'][0]['mappings']
        kinds = {mapping['kind'] for mapping in mappings}
        result({'stack', 'heap', 'file', 'anonymous', 'kernel'} <= kinds <=
               {'stack', 'heap', 'file', 'anonymous', 'kernel', 'secret', 'device'} and
               all(int(mapping['end'], 16) - int(mapping['start'], 16) == mapping['bytes']
                   for mapping in mappings), 'and the map of the address space')
        with open(html, encoding='utf-8') as text:
            page = text.read()
        data = page.split('id="data">')[1].split('</script>')[0]
        result(json.loads(data) == said and '<!--' not in data and '@DATA@' not in page,
               'the page has it inside, whatever the arguments are')
        result(not re.search(r'(?:src|href)\s*=\s*"?(?:https?:)?//', page), 'and needs no network')
        suite = ElementTree.parse(junit).getroot().find('testsuite')
        cases = suite.findall('testcase')
        failures = [case for case in cases if case.find('failure') is not None]
        result(suite.get('name') == 'lethectl verify' and len(cases) == len(said['checks']) ==
               int(suite.get('tests')) and len(failures) == int(suite.get('failures')) == 1 and
               'kept' in failures[0].find('failure').text and
               int(suite.get('skipped')) == len([case for case in cases
                                                 if case.find('skipped') is not None]),
               'JUnit XML is well-formed: a case for each check, a failure with its finding')
        result(sorted(os.listdir(directory)) == ['a.html', 'a.json', 'a.xml'],
               'no other file is left')
        for option in ('--report', '--junit', '--json-file'):
            answer = run(path, '--no-probes', option, '/dev/full', program=['true'])
            result(answer.returncode == 2 and b'not written: No space left' in answer.stderr,
                   'a full disk: no verdict, and why (%s)' % option)
        answer = run(path, '--no-probes', '--report', os.path.join(directory, 'no/a.html'),
                     program=['touch', os.path.join(directory, 'ran')])
        result(answer.returncode == 2 and b'cannot be written' in answer.stderr and
               not os.path.exists(os.path.join(directory, 'ran')),
               'a report that cannot be written is known before the program is run')
        fd = os.open(path, os.O_RDONLY)
        with open('/dev/full', 'w') as full:
            answer = subprocess.run(command(fd, '--json', '--no-probes', program=['true']),
                                    pass_fds=[fd], stdout=full, stderr=subprocess.PIPE, check=False)
        os.close(fd)
        result(answer.returncode == 2 and b'not complete' in answer.stderr, 'stdout, likewise')
        answer = run(path, '--no-probes', program=['cat'], input=b'as it is\n')
        result(answer.stdout == b'as it is\n' and answer.stderr.endswith(b'clean\n'),
               'stdin and stdout are the program\'s')
        answer = run(path, '--no-probes', program=['sh', '-c', 'ls -l /proc/$$/fd'])
        result(answer.stdout.count(b' -> ') >= 3 and path.encode() not in answer.stdout,
               'and the secret\'s descriptor is not')


def refused():
    with secret_file() as path:
        for options, words, sentence in (
                (['true'], 'put -- before', 'a program without -- before it'),
                ([], 'which program', 'no program'),
                (['--secret', 'hunter2hunter2', '--', 'true'], 'every user can read',
                 'a secret on the command line'),
                (['--secret-fd', '0', '--', 'true'], 'the program\'s', 'the program\'s stdin'),
                (['--secret-fd', '77', '--', 'true'], 'descriptor 77',
                 'a descriptor that is not open'),
                (['--every', '0', '--', 'true'], 'no number from 1', 'each 0th'),
                (['--at', 'nothing', '--', 'true'], 'PROVIDER:NAME', 'a mark that is none'),
                (['--forms', 'nothing', '--', 'true'], 'no form', 'a form that is none'),
                (['--keep-core', '--', 'true'], '--core', 'a core to keep, and none asked for')):
            answer = subprocess.run([LETHECTL, 'verify', '--no-probes', *options],
                                    capture_output=True, check=False)
            good = answer.returncode == 2 and words.encode() in answer.stderr
            if not result(good, 'refused: ' + sentence):
                note('%d: %s' % (answer.returncode, answer.stderr.decode()))
        for program, status in (('/nowhere/at/all', 127), ('/dev/null', 126), ('/tmp', 126)):
            answer = run(path, '--json', '--no-probes', program=[program])
            said = json.loads(answer.stdout)
            result(answer.returncode == status and said['verdict'] == 'unknown' and
                   'not run' in said['error'], 'not run: %s: %d' % (program, status))
    with secret_file(b'short') as path:
        result(run(path, '--no-probes', program=['true']).returncode == 2,
               'a secret that is too short')


def probed():
    said = Said('clean', '3', probes=True)
    missing = None if said.checks.get(SWAP) == 'passed' else 'no probes here'
    said.is_(said.status == 0 and said.checks.get(ACCESS) == 'passed' and
             any(probe['attached'] for probe in said.json['probes']),
             'under the probes, which do not take our own look for somebody\'s', missing)
    # Of the last nobody but us reads, as we search it.
    for backend, stolen, judged in (('memfd_secret', True, 'passed'), ('mlock', True, 'failed'),
                                    ('mlock', False, 'passed')):
        with secret_file() as path:
            fd = os.open(path, os.O_RDONLY)
            process = subprocess.Popen(
                command(fd, '--json', program=[SUBJECT, 'waits', path]), pass_fds=[fd],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, 'LETHE_BACKEND': backend})
            os.close(fd)
            process.stderr.readline()
            with open('/proc/%d/task/%d/children' % (process.pid, process.pid)) as file:
                pid = int(file.read().split()[0])
            # Of what is only locked it is known when it was looked at last.
            time.sleep(1.5)
            read = stolen and steal(pid)
            time.sleep(0.3)
            os.kill(pid, signal.SIGTERM)
            answer = json.loads(process.communicate(timeout=60)[0])
        checks = {check['name']: check['status'] for check in answer['checks']}
        events = [event for event in answer['events'] if event['kind'] == 'access']
        good = checks[ACCESS] == judged and bool(events) == stolen and \
            read == (judged == 'failed')
        if not result(good, '%s reads secret pages of %s meanwhile: %s'
                      % ('somebody' if stolen else 'nobody', backend, judged),
                      missing=missing):
            note((read, checks, events, answer['notes']))


def steal(pid):
    """Reads the first secret mapping; true if that could be had."""
    start = None
    with open('/proc/%d/smaps' % pid) as file:
        for line in file:
            if re.match('[0-9a-f]+-', line):
                address, name = int(line.split('-')[0], 16), line
            if line.startswith('VmFlags:') and ' dd' in line and ' lo' in line and \
                    ('secretmem' in name or ' rd' in line) and not start:
                start = address
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as memory:
        memory.seek(start)
        try:
            return len(memory.read(64)) == 64
        except OSError:
            return False


def mainjob():
    statuses = {}
    for backend in ('memfd_secret', 'mlock'):
        for how in ('plain', 'lethe'):
            for mark in ('in_use', 'step_end'):
                with secret_file() as path:
                    fds = [os.open(path, os.O_RDONLY) for _ in range(2)]
                    answer = subprocess.run(
                        command(fds[0], '--json', '--no-probes', '--at', 'mainjob:' + mark,
                                program=[MAINJOB, '--once', how, '--key-fd', str(fds[1]),
                                         'README.md']),
                        pass_fds=fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        env={**os.environ, 'LETHE_BACKEND': backend}, check=False)
                    for fd in fds:
                        os.close(fd)
                    said = json.loads(answer.stdout)
                    statuses[backend, how, mark] = (
                        answer.returncode, said.get('exit'), said.get('sections'),
                        {check['name']: check['status'] for check in said.get('checks', [])})
    clean = (0, {'status': 0}, 6)
    plainly = statuses['memfd_secret', 'plain', 'in_use']
    good = plainly[0] == 1 and plainly[1] == {'status': 0} and plainly[3][MARK] == 'failed'
    result(good, 'the main job, plainly, while it uses its key: found')
    result(statuses['memfd_secret', 'lethe', 'in_use'][:3] == clean and
           statuses['memfd_secret', 'lethe', 'step_end'][:3] == clean,
           'with Lethe: clean, in use and after each step, and at each of six section ends')
    locked = statuses['mlock', 'lethe', 'in_use']
    good = locked[0] == 1 and locked[3][SECTION] == 'passed' and locked[3][MARK] == 'failed' and \
        statuses['mlock', 'lethe', 'step_end'][:3] == clean
    result(good, 'on mlock it is in locked memory while in use, which root can read, and not after')
    if not good:
        note(statuses)


def marks():
    answer = subprocess.run(['readelf', '-n', os.path.join(BUILD, 'lib/liblethe.so.0')],
                            capture_output=True, text=True, check=False).stdout
    result(answer.count('Name: section_end') >= 2 and 'Provider: lethe' in answer and
           'Name: section_begin' in answer, 'readelf shows the marks')
    gdb = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'info probes all lethe',
                          os.path.join(BUILD, 'lib/liblethe.so.0')],
                         capture_output=True, text=True, check=False).stdout
    result('section_end' in gdb, 'so does gdb')


sys.exit(end(PLANNED, marks, places, plain, core, late, outputs, refused,
             probed, mainjob))
