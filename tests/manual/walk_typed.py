# SPDX-License-Identifier: MIT
"""Typing what walk_text.py reads: one shell session as a script for bash, and what
each of its commands printed and ended with, taken out of what the script printed.

The script is what stands in the document, word for word, between marks (quoted, so that
half a command is its own error and not that of what comes after). Whoever is
asked something gets Enter, as from somebody who takes what is proposed. It stops after
the first command that should have ended with 0 and did not. It knows no machine.
"""

import re
import secrets
import shlex
from dataclasses import dataclass

from walk_text import Program, difference


@dataclass
class Outcome:
    """What became of a step. status None: it was not come to, or did not end."""
    step: object
    begun: bool = False
    status: int | None = None
    printed: str = ''
    seconds: float = 0
    may_fail: bool = False

    def why(self):
        """'' if it is as shown, or else why not."""
        if not self.begun:
            return 'it was not come to'
        if self.status is None:
            return f'it did not end; so far:\n{self.printed}'
        if self.status and not self.may_fail:
            return f'it ended with {self.status}:\n{self.printed}'
        if isinstance(self.step, Program):
            return self.printed
        return difference(self.step, self.printed)


def _words(step):
    return step.save if isinstance(step, Program) else step.text


class Session:
    """Steps in one shell."""

    def __init__(self, steps):
        self.steps = steps
        self._mark = f'walk-{secrets.token_hex(8)}'

    def _may_fail(self, number):
        after = self.steps[number + 1:number + 2]
        return bool(after) and _words(after[0]) == 'echo $?'

    def script(self, start=''):
        """For bash; `start` is typed before, and nobody looks at it."""
        mark = self._mark
        lines = ["exec < <(yes '') 2>&1", start]
        for number, step in enumerate(self.steps):
            lines += [f'printf "\\n{mark} begin {number} $EPOCHREALTIME\\n"', '(exit $walk)',
                      f'eval {shlex.quote(_words(step))}', 'walk=$?',
                      f'printf "\\n{mark} end {number} $EPOCHREALTIME $walk\\n"']
            if not self._may_fail(number):
                lines.append('[ $walk -eq 0 ] || exit $walk')
        lines.append(f'printf "\\n{mark} at %s\\n" "$PWD"')
        return '\n'.join(lines) + '\n'

    def outcomes(self, output):
        """What each step came to, of all that the script printed; and where the
        session stood when it was done, or None."""
        found = [Outcome(step, may_fail=self._may_fail(number))
                 for number, step in enumerate(self.steps)]
        parts = re.split(rf'\n{self._mark} (begin|end|at) (.*)\n', '\n' + output)
        place, began = None, 0.0
        for kind, said, text in zip(parts[1::3], parts[2::3], parts[3::3]):
            if kind == 'at':
                place = said
                continue
            number, when, *status = said.split()
            outcome = found[int(number)]
            if kind == 'begin':
                outcome.begun, outcome.printed, began = True, text, float(when)
            else:
                outcome.status = int(status[0])
                outcome.seconds = float(when) - began
        return found, place
