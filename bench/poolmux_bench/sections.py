# SPDX-License-Identifier: BSD-3-Clause
"""Files of sections "[KIND NAME]" with lines "key = value", as configparser reads them; that one
forgets where a value stood, and what is wrong with one is to be told with its line."""
import re
from typing import Dict, Iterable, List, NamedTuple, NoReturn, Optional

from .problem import Misuse

HEAD = re.compile(r"\[\s*(\w+)(?:\s+(\S+))?\s*\]")
INDENTED = (" ", "\t")


class Line(NamedTuple):
    number: int
    value: str


class Section:
    def __init__(self, path: str, number: int, kind: str, name: str) -> None:
        self.path, self.number, self.kind, self.name = path, number, kind, name
        self.lines: Dict[str, Line] = {}

    @property
    def head(self) -> str:
        return f"[{self.kind} {self.name}]" if self.name else f"[{self.kind}]"

    def get(self, key: str) -> Optional[str]:
        return self.lines[key].value if key in self.lines else None

    def wrong(self, text: str, key: Optional[str] = None) -> NoReturn:
        """With the line of the key, or of the section."""
        number = self.lines[key].number if key in self.lines else self.number
        raise Misuse(f"{self.path}:{number}: {text}")

    def bad(self, key: str, valid: str) -> NoReturn:
        self.wrong(f"{key} = {self.get(key)}: not valid in {self.head}; valid: {valid}", key)


def _head(path: str, number: int, text: str, kinds: Iterable[str]) -> Section:
    match = HEAD.fullmatch(text)
    valid = ", ".join(f"[{kind}]" for kind in kinds)
    if not match or not {match[1], f"{match[1]} NAME"} & set(kinds):
        raise Misuse(f'{path}:{number}: "{text}" is no section; there are {valid}')
    wanted = f"{match[1]} NAME" in kinds
    if wanted != bool(match[2]):
        how = "has no name" if wanted else "takes no name"
        raise Misuse(f'{path}:{number}: "{text}" {how}; there are {valid}')
    return Section(path, number, match[1], match[2] or "")


def _pair(section: Section, number: int, text: str) -> str:
    key, equals, value = (part.strip() for part in text.partition("="))
    where = f"{section.path}:{number}"
    if not equals or not key:
        raise Misuse(f'{where}: "{text}" has no "=": a line is "key = value"')
    if key in section.lines:
        raise Misuse(f'{where}: "{key}" is set twice in {section.head}')
    section.lines[key] = Line(number, value)
    return key


def parse(path: str, lines: Iterable[str], kinds: Iterable[str]) -> List[Section]:
    """kinds: "case NAME" for those with a name. From a # on a line is comment; one that is indented
    goes on with the value before it."""
    sections: List[Section] = []
    key = ""
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].rstrip()
        if not text.strip():
            continue
        if text.startswith("["):
            new = _head(path, number, text, kinds)
            if any((s.kind, s.name) == (new.kind, new.name) for s in sections):
                raise Misuse(f"{path}:{number}: {new.head} is there twice")
            sections.append(new)
            key = ""
        elif not sections:
            raise Misuse(f'{path}:{number}: "{text.strip()}" is in no section')
        elif text.startswith(INDENTED) and key:
            before = sections[-1].lines[key]
            value = f"{before.value} {text.strip()}".strip()
            sections[-1].lines[key] = before._replace(value=value)
        else:
            key = _pair(sections[-1], number, text.strip())
    return sections
