"""What is JSON and what is not, by hand: each case is read as Python's json reads it, or refused with the right words.

The kinds of cases are those of "Parsing JSON is a Minefield" (Nicolas Seriot, 2016), the cases are our own. RFC 8259
leaves some to the reader: what this one does is said beside them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from user_state.events.event_reader import json_reader
from user_state.oracle.json_body import read_json
from user_state.spec.event_schema import parse_event_schema

SCHEMA = parse_event_schema(
    {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "t", "type": "string", "default": ""},
            {"name": "d", "type": "double", "default": 0},
            {"name": "n", "type": "long", "default": 0},
        ],
    }
)
READ = json_reader(SCHEMA)

TEXTS = [
    rb'""',
    rb'"a"',
    rb'"\u0061"',
    rb'"\"\\\/\b\f\n\r\t"',
    rb'"\u0000"',
    rb'"\u00e9\u20ac"',
    rb'"\ud83c\udf89"',
    rb'"\uD834\uDd1e x"',
    '"é€\U0001f389"'.encode(),
    '"\u2028\u2029\ufeff\uffff\U0010ffff"'.encode(),
    b'"\x7f"',
    rb'"/ ' + b"x" * 100 + rb'\n"',
    *(b'"' + b"x" * n + rb"\u0031" + b"y" * (9 - n) + b'"' for n in range(10)),
    *(b'"' + b"x" * n + "é".encode() + b"y" * (9 - n) + b'"' for n in range(10)),
]
NO_TEXTS = {
    b'"': "the body ends within a text",
    b'"a': "the body ends within a text",
    b'"\\': "the body ends within a text",
    b'"\\"': "the body ends within a text",
    b"'a'": "expected a value",
    b"a": "expected a value",
    b'"\x00"': "a control character that is not escaped",
    b'"\n"': "a control character that is not escaped",
    b'"\t' + b"x" * 20 + b'"': "a control character that is not escaped",
    b'"xxxxxxxxxxxxx\x1f"': "a control character that is not escaped",
    b'"\\\n"': "a control character that is not escaped",
    rb'"\a"': "an escape that JSON does not have",
    rb'"\x41"': "an escape that JSON does not have",
    rb'"\U00000041"': "an escape that JSON does not have",
    rb'"\u"': "no four hexadecimal digits",
    rb'"\u12"': "no four hexadecimal digits",
    rb'"\u12G4"': "no four hexadecimal digits",
    rb'"\u+123"': "no four hexadecimal digits",
    rb'"\ud800"': "half of a surrogate pair",
    rb'"\ud800x"': "half of a surrogate pair",
    rb'"\ud800\n"': "half of a surrogate pair",
    rb'"\ud800\ud800"': "half of a surrogate pair",
    rb'"\ud800\u0041"': "half of a surrogate pair",
    rb'"\udc00"': "half of a surrogate pair",
    rb'"\udc00\ud800"': "half of a surrogate pair",
    rb'"\ud800\u"': "no four hexadecimal digits",
    b'"\xff"': "a text is not UTF-8",
    b'"\xc3"': "a text is not UTF-8",
    b'"\xc0\x80"': "a text is not UTF-8",
    b'"\xed\xa0\x80"': "a text is not UTF-8",
    b'"\xf4\x90\x80\x80"': "a text is not UTF-8",
    b'"\xe9"': "a text is not UTF-8",
}
NUMBERS = [
    *(b"0", b"-0", b"1", b"-1", b"10", b"123456789", b"0.0", b"-0.0", b"0.1", b"1.5", b"-12.75", b"1e0", b"1E5"),
    *(b"1e+5", b"1e-5", b"0e5", b"0e+99999999999", b"1.0e-10", b"5e-324", b"2e-324", b"1e-400", b"0.3e1"),
    *(b"1.7976931348623157e308", b"2.2250738585072011e-308", b"9007199254740993", b"9007199254740992.5"),
    *(b"0.1000000000000000055511151231257827", b"123456789012345678901234567890", b"1" + b"0" * 300),
    *(
        b"0." + b"0" * 400 + b"1",
        b"1" + b"0" * 400 + b"e-400",
        b"72057594037927933",
        b"1.00000000000000011102230246251565",
    ),
]
NO_NUMBERS = [
    *(b"01", b"-01", b"00", b"+1", b".5", b"-.5", b"1.", b"-", b"--1", b"1e", b"1e+", b"1E-", b"1.e5", b"e5", b"1.2.3"),
    *(b"0x1F", b"1_000", b"1,5", b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1f", b"0b1", b"1 2"),
    *("\u0661".encode(), "1\u0660".encode(), b"- 1", b"1e 5", b"1e5.0", b"1e400", b"-1e400", b"1" + b"0" * 400),
]
WHOLE = {
    b"9223372036854775807": 2**63 - 1,
    b"-9223372036854775808": -(2**63),
    b"9007199254740993": 2**53 + 1,
    b"9223372036854775807.0": 2**63 - 1,
    b"9.223372036854775807e18": 2**63 - 1,
    b"5.0": 5,
    b"-5.000": -5,
    b"12e2": 1200,
    b"1200e-2": 12,
    b"1.2e1": 12,
    b"-0": 0,
    b"-0.0e-5": 0,
    b"0.00001e5": 1,
    b"0e99999999999999999999": 0,
}
NOT_WHOLE = [
    *(
        b"9223372036854775808",
        b"-9223372036854775809",
        b"9223372036854775807.5",
        b"0.5",
        b"1e-1",
        b"1e19",
        b"1e999999999",
    ),
    *(b"1e99999999999999999999", b"1e-99999999999999999999", b"1" * 5000, b"true", b"null", b'"5"', b"[5]", b"{}"),
]
WHOLE_BODIES = [
    b'{"t":"a"}',
    b' \t\r\n{ "t" : "a" } \n',
    b'\xef\xbb\xbf{"t":"a"}',  # RFC 8259, 8.1: a reader may pass over a mark of the byte order
    b'{"n":1,"t":"a"}',
    b'{"other":[1,{"t":["b"]},null,"x",true,-1.5e3,[[]],{}],"t":"a"}',
    b'{"":0,"t":"a","T":"b","tt":5}',
    rb'{"\u0074":"a"}',
    b'{"other":1,"other":2,"t":"a"}',  # nobody asks for what is there twice
    b'{"o":1e999,"t":"a"}',
    b'{"o":' + b"[" * 127 + b"]" * 127 + b',"t":"a"}',
]
NO_BODIES = {
    b"": "at byte 0: the body ends where a value should be",
    b"  ": "at byte 2: the body ends where a value should be",
    b"\xef\xbb\xbf": "the body ends where a value should be",
    b"null": "expected an object, got null",
    b"[]": "expected an object, got an array",
    b'[{"t":"a"}]': "expected an object, got an array",
    b'"t"': "expected an object, got a text",
    b"5": "expected an object, got a number",
    b"{": "the body ends within an object",
    b'{"t"': "expected a colon behind a member's name",
    b'{"t":': "field t, at byte 5: the body ends where a value should be",
    b'{"t":"a"': "the body ends within an object",
    b'{"t":"a",': "the body ends within an object",
    b'{"t":"a",}': "expected the name of a member in double quotes",
    b'{,"t":"a"}': "expected the name of a member in double quotes",
    b'{"t":"a";"n":1}': "expected a comma or the end of the object",
    b'{"t":"a" "n":1}': "expected a comma or the end of the object",
    b'{"t":"a"]': "expected a comma or the end of the object",
    b'{"t" "a"}': "expected a colon",
    b'{"t"="a"}': "expected a colon",
    b'{"t"::"a"}': "expected a value",
    b'{t:"a"}': "expected the name of a member in double quotes",
    b'{1:"a"}': "expected the name of a member in double quotes",
    b'{"o":[1,],"t":"a"}': "expected a value",
    b'{"o":[1 2]}': "expected a comma or the end of the array",
    b'{"o":[}': "expected a value",
    b'{"o":[1}': "expected a comma or the end of the array",
    b'{"o":[': "the body ends where a value should be",
    b'{"o":tru}': "expected a value",
    b'{"o":TRUE}': "expected a value",
    b'{"o":NaN}': "expected a value, got NaN, which JSON does not have",
    b'{"o":"\\ud800"}': "half of a surrogate pair",
    b'{"\\ud800":1}': "half of a surrogate pair",
    b'{"o":"\xff"}': "a text is not UTF-8",
    b'{"t":"a"}x': "at byte 9: 1 bytes are left over behind the event",
    b'{"t":"a"}{"t":"b"}': "at byte 9: 9 bytes are left over behind the event",
    b'{"t":"a"}\x00': "1 bytes are left over",
    b'\x00{"t":"a"}': "expected a value",
    b'{"t":"a"}/* c */': "left over",
    b'{/* c */"t":"a"}': "expected the name of a member",
    b'\xc2\xa0{"t":"a"}': "expected a value",
    b'{"t":"a"\x0c}': "expected a comma",
    '{"t":"a"}'.encode("utf-16"): "expected a value",
    b'\xef\xbb\xbf\xef\xbb\xbf{"t":"a"}': "expected a value",
    b'{"t":"a","t":"a"}': "field t, at byte 13: it is there twice",
    rb'{"t":"a","\u0074":"b"}': "field t, at byte 18: it is there twice",
    b'{"n":1,"t":"a","n":2}': "field n, at byte 19: it is there twice",
    b'{"o":' + b"[" * 128 + b"]" * 128 + b"}": "values lie more than 128 levels deep in objects and arrays",
    b'{"o":' + b'{"":' * 100_000: "values lie more than 128 levels deep in objects and arrays",
    b"[" * 100_000: "expected an object, got an array",
}


def refused(body: bytes) -> str:
    """Why a body is refused, by the core; the oracle refuses it too."""
    with pytest.raises(ValueError):  # noqa: PT011  # the words are the core's
        read_json(SCHEMA.whole, body)
    with pytest.raises(ValueError, match="as JSON of E: ") as found:
        READ(body)
    return str(found.value)


def read(body: bytes) -> dict[str, Any]:
    """What a body says, by the core; the oracle says the same."""
    found = READ(body)
    assert repr(sorted(read_json(SCHEMA.whole, body).items())) == repr(sorted(found.items()))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_what_pythons_json_says(text: bytes) -> None:
    assert read(b'{"t":' + text + b"}")["t"] == json.loads(text)
    assert read(b'{"other":' + text + b"}")["t"] == ""


@pytest.mark.parametrize(("text", "why"), NO_TEXTS.items())
def test_what_is_no_text_is_refused_wherever_it_is(text: bytes, why: str) -> None:
    end = b"" if "ends within" in why else b"}"
    assert why in refused(b'{"t":' + text + end)
    assert why in refused(b'{"other":' + text + end)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_the_nearest_doubles(number: bytes) -> None:
    assert repr(read(b'{"d":' + number + b"}")["d"]) == repr(float(number))
    assert read(b'{"other":[' + number + b"]}")["d"] == 0


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_finite_number_of_json_is_refused(number: bytes) -> None:
    assert refused(b'{"d":' + number + b"}")


@pytest.mark.parametrize(("number", "value"), WHOLE.items())
def test_whole_numbers_are_exact_however_they_are_written(number: bytes, value: int) -> None:
    assert read(b'{"n":' + number + b"}")["n"] == value


@pytest.mark.parametrize("number", NOT_WHOLE)
def test_what_is_no_whole_number_of_64_bits_is_refused_by_name(number: bytes) -> None:
    why = refused(b'{"n": ' + number + b"}")
    assert "field n, at byte 6: expected a whole number of 64 bits, got " in why
    assert number[:4].decode() not in why.partition("expected")[2] or number in (b"true", b"null")


@pytest.mark.parametrize("body", WHOLE_BODIES)
def test_bodies_that_are_events(body: bytes) -> None:
    assert read(body)["t"] == "a"


@pytest.mark.parametrize(("body", "why"), NO_BODIES.items(), ids=range(len(NO_BODIES)))
def test_bodies_that_are_none(body: bytes, why: str) -> None:
    assert why in refused(body)
