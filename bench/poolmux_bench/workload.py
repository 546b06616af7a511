# SPDX-License-Identifier: BSD-3-Clause
"""Workloads: files of lines "key = value", the presets among them. Which keys there are and which
values they take is known to the workers only, one of which is asked."""
import os
from typing import Dict, Iterable, List, NamedTuple, Tuple

from .problem import Misuse


class Key(NamedTuple):
    default: str
    valid: str
    meaning: str


Keys = Dict[str, Key]
SUFFIX = ".workload"


class Workload(NamedTuple):
    name: str
    source: str
    settings: Dict[str, str]

    def with_prefix(self, prefix: str) -> "Workload":
        return self._replace(settings={**self.settings, "prefix": prefix})

    def arguments(self) -> List[str]:
        return [
            word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")
        ]


def parsed_keys(text: str) -> Keys:
    """What a worker prints: a line for each key, its parts separated by tabs."""
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0]: Key(*(row[1:] + ["", "", ""])[:3]) for row in rows if row[0]}


def _pair(keys: Keys, text: str, where: str) -> Tuple[str, str]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise Misuse(f'{where}: "{text}" has no "=": a line is "key = value"')
    if key not in keys:
        raise Misuse(f'{where}: there is no key "{key}"; there are {", ".join(keys)}')
    if not value:
        raise Misuse(f'{where}: "{key}" has no value; valid: {keys[key].valid}')
    return key, value


def parse(keys: Keys, lines: Iterable[str], where: str) -> Dict[str, str]:
    settings: Dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        key, value = _pair(keys, text, f"{where}:{number}")
        if key in settings:
            raise Misuse(f'{where}:{number}: "{key}" is set twice')
        settings[key] = value
    return settings


def lines_of(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, UnicodeError) as error:
        raise Misuse(f"{path}: {error}") from error


def presets(directory: str) -> List[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX))


def described(directory: str, preset: str) -> str:
    """The first comment of a preset says whom it imitates."""
    words: List[str] = []
    for line in lines_of(os.path.join(directory, preset + SUFFIX)):
        text = line.lstrip("#").strip()
        if not line.startswith("#") or (not text and words):
            break
        if text and not text.startswith("SPDX-"):
            words.append(text)
    text = " ".join(words)
    return text[len(preset) + 3 :] if text.startswith(f"{preset} - ") else text


def from_preset(keys: Keys, directory: str, name: str) -> Workload:
    if name not in presets(directory):
        raise Misuse(f'--preset: there is no "{name}"; there are {", ".join(presets(directory))}')
    path = os.path.join(directory, name + SUFFIX)
    return Workload(name, f"preset {name}", parse(keys, lines_of(path), path))


def from_file(keys: Keys, path: str) -> Workload:
    name = os.path.splitext(os.path.basename(path))[0]
    return Workload(name, f"file {path}", parse(keys, lines_of(path), path))


def changed(keys: Keys, workload: Workload, sets: Iterable[str]) -> Workload:
    """What --set says wins, the last one of a key; what nothing is said of has its default."""
    defaults = {name: key.default for name, key in keys.items()}
    said = dict(_pair(keys, text, "--set") for text in sets)
    return workload._replace(settings={**defaults, **workload.settings, **said})
