# SPDX-License-Identifier: MIT
"""KTAP on stdout, for every test in Python whose points come one after the other: they
are told as they come, the plan last. Decides nothing.
"""


class Document:
    """One document. Its points' sentences begin with `about`, if that is said."""

    def __init__(self, about=''):
        self._about = f'{about}: ' if about else ''
        self._number = self._failed = 0
        self._begun = False

    def _print(self, line):
        if not self._begun:
            print('KTAP version 1')
            self._begun = True
        print(line, flush=True)

    def ok(self, good, sentence, notes='', missing=None):
        """One point, and where it failed the end of what tells why; whether it is good.
        Where something is `missing` that it needs, it is skipped, good or not."""
        self._number += 1
        if not good and not missing:
            self._failed += 1
            self.say('\n'.join(str(notes).splitlines()[-200:]))
        # A "#" would begin a directive.
        sentence = self._about + sentence.replace('#', '?')
        self._print(f'{"ok" if good or missing else "not ok"} {self._number} - {sentence}'
                    f'{f" # SKIP {missing}" if missing else ""}')
        return bool(good)

    def skip(self, sentence, missing):
        """One point that cannot be had here."""
        self.ok(False, sentence, missing=missing)

    def say(self, text):
        """Something beside the points."""
        for line in str(text).splitlines():
            self._print('# ' + line.encode('ascii', 'backslashreplace').decode())

    def end(self, planned=None):
        """The plan, which is what there was if none was `planned`; what the program is
        to end with."""
        planned = self._number if planned is None else planned
        self._print(f'1..{planned}')
        return 1 if self._failed or self._number != planned else 0

    def skip_all(self, missing):
        """There are no points here; what the program is to end with."""
        self._print(f'1..0 # SKIP {missing}')
        return 0
