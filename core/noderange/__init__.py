"""Noderanges: xCAT's notation for a set of nodes (man page noderange(3)).

    range   := element {"," element}
    element := ["-" | "@"] operand {"@" ["-"] operand}
    operand := "(" range ")" | "^" file | "/" pattern | criterion | node | group | names
    names   := a"-"b | a":"b | a"+"N | prefix"["list"]"suffix | number

`syntax` takes texts apart and counts names up; `expansion` asks the cluster. docs/xcat-differences.md lists
where the answers are not xCAT's.
"""

from core.noderange.expansion import Expansion, expand, missed_message, names

__all__ = ["Expansion", "expand", "missed_message", "names"]
