# SPDX-License-Identifier: MIT
"""The host's end of the link to the guest: search the guest's whole RAM, or the
image of one of its disks.

A request is the lines SEARCH, NEEDLE..., FRAMES..., GO (hostlink.c sends them).
LATER in place of SEARCH has the needles kept for search_later(). With a line DRIVE,
that disk is searched and no RAM; the machine stands still while it is.
The machine stands still only while its RAM is written to a file; the file lies
in a directory that nobody else may read, and is deleted as soon as it was
searched. Needles are handed on as they came: this file never unmasks one.
"""

import re
import subprocess
import time
from dataclasses import dataclass

from qmp import QmpError

# RAM below 1 MiB has holes for the video memory and the ROMs, which the guest
# cannot use either. A larger gap is the hole for devices, and must not be read.
_SMALL_GAP = 1 << 20
# hostlink.c waits longer, so that it is told.
_SEARCH_SECONDS = 120
_RAM = re.compile(r'\s*([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ram\): '
                  r'pc\.ram\b')
_FOUND = re.compile(r'FOUND (\S+) (\d+) (\d+) (\d+) (\d+) (\d+) '
                    r'0x([0-9a-f]+)$')
_DONE = re.compile(r'DONE (\d+)$')


class SearchError(Exception):
    """No search was made, and this is why."""


@dataclass
class Found:
    """What was found of one needle, so far."""
    copies: int = 0
    whole: int = 0
    longest: int = 0
    in_frames: int = 0
    elsewhere: int = 0
    address: int = 0

    def add(self, numbers, address):
        """Add what was found in one more range."""
        # The first one elsewhere tells most; ramsearch chooses like this too.
        if not self.copies or (numbers[4] and not self.elsewhere):
            self.address = address
        self.copies += numbers[0]
        self.whole += numbers[1]
        self.longest = max(self.longest, numbers[2])
        self.in_frames += numbers[3]
        self.elsewhere += numbers[4]

    def line(self, name):
        """As the guest reads it."""
        return (f'FOUND {name} {self.copies} {self.whole} {self.longest} '
                f'{self.in_frames} {self.elsewhere} 0x{self.address:x}')


def ram_ranges(mtree, total):
    """[(start, size)] of the guest's RAM, from the monitor's `info mtree -f`;
    `total` is the size the machine was given. On q35 there are two ranges from
    2.75 GiB on, with the devices' hole between them.
    """
    spans = sorted({(int(m[1], 16), int(m[2], 16) + 1)
                    for m in map(_RAM.match, mtree.splitlines()) if m})
    merged = []
    for start, end in spans:
        if merged and start <= merged[-1][1] + _SMALL_GAP:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    ranges = [(start, end - start) for start, end in merged]
    if not ranges or ranges[0][0] != 0 or sum(s for _, s in ranges) != total:
        raise SearchError(f'the RAM ranges {ranges} are not {total} bytes')
    return ranges


class HostLink:
    """Answers what comes over the guest's serial port `sock`."""

    def __init__(self, sock, qmp, ramsearch, directory, log, drives=()):
        self._sock = sock
        self._qmp = qmp
        self._ramsearch = ramsearch
        self._directory = directory
        self._log = log
        self._drives = drives
        self._buffer = b''
        self._request = []
        self._ranges = None
        self._later = None

    def feed(self, data):
        """Take what the guest sent, and answer once a request is whole."""
        *lines, self._buffer = (self._buffer + data).split(b'\n')
        for line in lines:
            text = line.decode('ascii', 'replace').strip()
            if text.startswith(('SEARCH', 'LATER')):
                self._request = [text]
            elif text == 'GO':
                self._answer()
            else:
                self._request.append(text)

    def _answer(self):
        try:
            if self._request and self._request[0].startswith('LATER'):
                self._later = self._parse('LATER')
                lines = ['DONE 0']
            else:
                lines = self._search()
        except (SearchError, QmpError, OSError) as error:
            lines = [f'ERROR {error}']
            self._log(f'search failed: {error}')
        self._request = []
        try:
            self._sock.sendall(''.join(f'{x}\n' for x in lines).encode())
        except OSError:
            pass    # the machine is gone, which its end will show

    def search_later(self, image=None):
        """Search for what the guest asked for with LATER: in the file `image`,
        or in the RAM of the machine, which does not run any more. Returns
        ({name: Found}, bytes searched)."""
        if not self._later:
            raise SearchError('the guest did not say what to search for')
        label, needles, _, _ = self._later
        found = {name: Found() for name in needles}
        if image:
            spans = [((0, image.stat().st_size), image)]
        else:
            spans, _ = self._dump(go_on=False)
        try:
            searched = sum(self._search_range(
                path, size, [*needles.values(),
                             f'RANGE 0 {start:#x} {size:#x}', 'GO'], found)
                for (start, size), path in spans)
        finally:
            for _, path in spans if not image else ():
                path.unlink(missing_ok=True)
        self._log(f'search "{label}": {searched >> 20} MiB of '
                  f'{image.name if image else "RAM"}')
        return found, searched

    def _parse(self, verb='SEARCH'):
        request, self._request = self._request, []
        if not request or not request[0].startswith(verb):
            raise SearchError(f'a request without {verb}')
        needles, frames, drive = {}, [], None
        for line in request[1:]:
            words = line.split()
            if words[:1] == ['NEEDLE'] and len(words) == 4:
                needles[words[1]] = line
            elif words[:1] == ['FRAMES'] and len(words) == 3:
                frames.append(line)
            elif words[:1] == ['DRIVE'] and len(words) == 2 and \
                    words[1].isdigit() and int(words[1]) < len(self._drives):
                drive = self._drives[int(words[1])]
            else:
                raise SearchError(f'an unknown line "{line[:40]}"')
        if not needles:
            raise SearchError('a request without a needle')
        return request[0][len(verb):].strip(), needles, frames, drive

    def _search_drive(self, label, needles, drive):
        """Search a disk's image: all that the guest wrote is in it, once the
        machine stands still."""
        found = {name: Found() for name in needles}
        size = drive.stat().st_size
        self._qmp.execute('stop')
        try:
            searched = self._search_range(
                drive, size, [*needles.values(), f'RANGE 0 0x0 {size:#x}', 'GO'],
                found)
        finally:
            self._qmp.execute('cont')
        self._log(f'search "{label}": {searched >> 20} MiB of {drive.name}')
        return [*(found[name].line(name) for name in needles), f'DONE {searched}']

    def _search(self):
        label, needles, frames, drive = self._parse()
        if drive:
            return self._search_drive(label, needles, drive)
        begun = time.monotonic()
        dumps, stopped = self._dump()
        try:
            found = {name: Found() for name in needles}
            searched = 0
            for (start, size), path in dumps:
                asked = [*needles.values(), *frames,
                         f'RANGE 0 {start:#x} {size:#x}', 'GO']
                searched += self._search_range(path, size, asked, found)
                path.unlink()
        finally:
            for _, path in dumps:
                path.unlink(missing_ok=True)
        self._log(f'search "{label}": {searched >> 20} MiB, stopped for '
                  f'{stopped:.2f} s, {time.monotonic() - begun:.2f} s in all')
        return [*(found[name].line(name) for name in needles),
                f'DONE {searched}']

    def _dump(self, go_on=True):
        """Write all of RAM down: [((start, size), path)], and the seconds for
        which the machine stood still."""
        if self._ranges is None:
            self._ranges = ram_ranges(
                self._qmp.execute('human-monitor-command',
                                  **{'command-line': 'info mtree -f'}),
                self._qmp.execute('query-memory-size-summary')['base-memory'])
        dumps = [(span, self._directory / f'ram.{span[0]:x}')
                 for span in self._ranges]
        begun = time.monotonic()
        self._qmp.execute('stop')
        try:
            for (start, size), path in dumps:
                self._qmp.execute('pmemsave', val=start, size=size,
                                  filename=str(path))
        except QmpError:
            for _, path in dumps:
                path.unlink(missing_ok=True)
            raise
        finally:
            if go_on:
                self._qmp.execute('cont')
        return dumps, time.monotonic() - begun

    def _search_range(self, path, size, asked, found):
        """Search one file; add to `found`; return the bytes searched."""
        try:
            run = subprocess.run(
                [self._ramsearch, path], input='\n'.join(asked) + '\n',
                capture_output=True, text=True, check=False,
                timeout=_SEARCH_SECONDS)
        except OSError as error:
            raise SearchError(f'{self._ramsearch}: {error.strerror}') from None
        except subprocess.TimeoutExpired:
            raise SearchError(f'no answer in {_SEARCH_SECONDS} s') from None
        if run.returncode:
            raise SearchError(f'ramsearch ended with {run.returncode}: '
                              f'{run.stderr.strip()[-200:]}')
        searched, answered = None, set()
        for line in run.stdout.splitlines():
            if match := _FOUND.match(line):
                name, *numbers, address = match.groups()
                if name not in found or name in answered:
                    raise SearchError(f'ramsearch tells of "{name}"')
                answered.add(name)
                found[name].add([int(n) for n in numbers], int(address, 16))
            elif match := _DONE.match(line):
                searched = int(match[1])
        # Every needle, and every byte: else "0 copies" means nothing.
        if searched != size or answered != set(found):
            raise SearchError('ramsearch did not search for everything')
        return searched
