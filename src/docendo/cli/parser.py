"""The parser behind the command line: what is typed wrong is answered with what was likely meant.

Light on purpose, as `arguments` is: nothing here imports numpy, rich or the road.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviations, which names the nearest option for one that is not known."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **arguments})
        self.commands: dict[str, Parser] = {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, but an unknown option is the command's error and not the program's."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            command = self.commands.get(found.command or "", self)
            command.commands.get(getattr(found, "action", ""), command).refuse(rest)
        return found

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Exit for arguments that are not known."""
        word = next((word for word in rest if word.startswith("-")), None)
        if word is None:
            self.error(f"too many arguments: {' '.join(rest)}")
        options = [option for action in self._actions for option in action.option_strings]
        self.error(f"no such option: {word}{_nearest(word.split('=')[0], options)}")

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, the message, and where help is; without argparse's long usage."""
        wrong = re.search(r"invalid choice: (.*?) \(choose", message)
        if wrong is not None and self.commands:
            word = wrong[1].strip("'\"")
            known = list(self.commands)
            message = f"no such command: {word}{_nearest(word, known) or '; there are ' + ', '.join(known)}"
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def command(commands: Any, top: Parser, name: str, summary: str, **texts: str) -> Parser:
    """Add a command, or an action of one, to the parser above it."""
    added: Parser = commands.add_parser(name, help=summary, **texts)
    top.commands[name] = added
    return added


def positive(text: str) -> int:
    """A whole number from 1 on, as the type of an option."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small, it must be at least 1")
    return number


positive.__name__ = "int"  # argparse puts it into "invalid int value"


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
