# SPDX-License-Identifier: MIT
"""KTAP on stdout, for a test that finds out on the way how much it has to say: its
points as they come, the plan last. Decides nothing.
"""


class Document:
    """One document. Its points' sentences begin with `about`, if that is said."""

    def __init__(self, about=''):
        self._about = f'{about}: ' if about else ''
        self._number = self._failed = 0
        print('KTAP version 1', flush=True)

    def ok(self, good, sentence, notes=''):
        """One point, and where it failed the end of what tells why; whether it is good."""
        self._number += 1
        if not good:
            self._failed += 1
            print(''.join(f'# {line}\n' for line in str(notes).splitlines()[-200:]), end='')
        # A "#" would begin a directive.
        print(f'{"ok" if good else "not ok"} {self._number} - {self._about}'
              f'{sentence.replace("#", "?")}', flush=True)
        return bool(good)

    @staticmethod
    def say(text):
        """Something beside the points."""
        print(f'# {text}', flush=True)

    def end(self, planned=None):
        """The plan, which is what there was if none was `planned`; what the program is
        to end with."""
        planned = self._number if planned is None else planned
        print(f'1..{planned}', flush=True)
        return 1 if self._failed or self._number != planned else 0
