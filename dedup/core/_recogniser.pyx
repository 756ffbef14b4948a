# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of `Codec.recognise`, for every envelope that has a `Layout`.

msgspec reads the JSON; what it read is checked and written here, straight into the bytes of the
row and of the content. Values are written by their type: nothing of an entity is known here. What
takes a closer look goes to the same functions as in Python, and a record that is too large for the
buffers to the whole function in Python.
"""

from datetime import UTC

import msgspec
from msgspec.structs import astuple

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    datetime,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_second,
    datetime_tzinfo,
    datetime_year,
    import_datetime,
)
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memcpy, strcmp

import_datetime()

cdef object _astuple = astuple
cdef object _not_plain = object()

cdef enum:
    BUFFER = 16384

include "_json_bytes.pxi"


cdef class Column:
    """A member of a row: what makes its value normal, and how the member begins in JSON."""

    cdef bytes label
    cdef object test, convert, absent, default
    cdef int whole, places
    cdef bint is_content

    def __init__(self, label, test, convert, absent, default, digits, is_content):
        self.label, self.test, self.convert = label, test, convert
        self.absent, self.default, self.is_content = absent, default, is_content
        self.whole, self.places = digits or (-1, -1)

    cdef object normal(self, object value):
        """Return a value that msgspec read in normal form, or `_not_plain`."""
        if self.convert is not None:
            return self.default if value is self.absent else self.convert(value)
        if value is None:
            return None
        if self.whole >= 0:
            return value if is_decimal(value, self.whole, self.places) else _not_plain
        if self.test is not None:
            return value if self.test(value) else _not_plain
        if type(value) is datetime and datetime_tzinfo(value) is not _utc:
            return _not_plain
        return value


cdef class Recogniser:
    """Recognises the events of one entity; `pure` does the same in Python."""

    cdef object pure, decode, read_time, names, deletes, known
    cdef tuple columns, carried
    cdef bytes event_id_label, action_label, time_label, end_label
    cdef int payload, time, event_id, action
    cdef bint time_is_text, key_is_text

    def __init__(self, pure, decode, columns, carried, labels, indexes, read_time, time_is_text,
                 names, key_is_text, deletes, known):
        self.pure, self.decode, self.read_time, self.names = pure, decode, read_time, names
        self.columns, self.carried = columns, carried
        self.event_id_label, self.action_label, self.time_label, self.end_label = labels
        self.payload, self.time, self.event_id, self.action = indexes
        self.time_is_text, self.key_is_text = time_is_text, key_is_text
        self.deletes, self.known = deletes, known

    def recognise(self, key, value, processing_time):
        """Return id, event time, canonical content and row of an event that needs no judging."""
        if type(key) is not bytes or type(value) is not bytes:
            return self.pure(key, value, processing_time)
        try:
            return self.recognised(<bytes>key, <bytes>value, processing_time)
        except OverflowError:  # a buffer is full
            return self.pure(key, value, processing_time)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None

    cdef object recognised(self, bytes key, bytes value, object processing_time):
        cdef char row_buffer[BUFFER]
        cdef char content_buffer[BUFFER]
        cdef Out row, content
        cdef tuple members, values
        cdef object event_time
        cdef int64_t us
        row.at, row.end = row_buffer, row_buffer + BUFFER
        content.at, content.end = content_buffer, content_buffer + BUFFER
        if not is_plain_text(value):
            return None
        members = _astuple(self.decode(value))
        if self.action >= 0 and not self.takes(members[self.action]):
            return None
        values = members if self.payload < 0 else _astuple(members[self.payload])
        event_time = self.put_fields(&row, &content, values, key)
        if event_time is _not_plain:
            return None
        if self.event_id >= 0:
            put_bytes(&row, self.event_id_label)
            put_value(&row, members[self.event_id])
        if self.action >= 0:
            put_bytes(&row, self.action_label)
            put_value(&row, members[self.action])
        put_bytes(&row, self.time_label)
        if self.payload < 0:
            us = microseconds(event_time)
            put_time(&row, event_time)
        elif not self.put_event_time(&row, members[self.time], &us):
            return None
        if not self.put_carried(&row, members):
            return None
        put_bytes(&row, self.end_label)
        put_value(&row, processing_time)
        put(&row, b"}", 1)
        put(&content, b"]", 1)
        return (
            values[0],
            us,
            PyBytes_FromStringAndSize(content_buffer, content.at - content_buffer),
            PyBytes_FromStringAndSize(row_buffer, row.at - row_buffer),
        )

    cdef bint takes(self, object action) except -1:
        return action not in self.deletes and (not self.known or action in self.known)

    cdef object put_fields(self, Out* row, Out* content, tuple values, bytes key):
        """Write the model's fields; return the value of the event time's field, or `_not_plain`."""
        cdef Py_ssize_t index = 0
        cdef Column column
        cdef object value, event_time = None
        cdef char* start
        cdef char* first = content.at
        for item in self.columns:
            column = <Column>item
            value = column.normal(values[index])
            if value is _not_plain:
                return _not_plain
            put_bytes(row, column.label)
            start = row.at
            put_value(row, value)
            if index == 0 and not self.is_key_of(value, key, start, row.at - start):
                return _not_plain
            if index == self.time:
                event_time = value
            if column.is_content:
                put(content, b"[" if content.at == first else b",", 1)
                if type(value) is datetime and datetime_microsecond(value) == 0:
                    put(content, start, 1 + SECOND_CHARS)  # as msgspec writes a whole second
                    put(content, b'Z"', 2)
                else:
                    put(content, start, row.at - start)
            index += 1
        return event_time

    cdef bint is_key_of(self, object value, bytes key, const char* text, Py_ssize_t size) except -1:
        """Tell whether a key names an id, whose JSON is given."""
        if not self.key_is_text:
            return self.names(key, value)
        if type(value) is str:
            text = PyUnicode_AsUTF8AndSize(value, &size)
        return size == PyBytes_GET_SIZE(key) and memcmp(text, PyBytes_AS_STRING(key), size) == 0

    cdef bint put_event_time(self, Out* row, object value, int64_t* us) except -1:
        """Write the time of an event that carries it beside its payload; false when not plain."""
        cdef Py_ssize_t size
        cdef const char* text
        if self.time_is_text:
            text = PyUnicode_AsUTF8AndSize(value, &size)
            if put_instant(row, text, size, us):
                return True
        found = self.read_time(value)
        if found is None:
            return False
        us[0] = found[0]
        put_value(row, found[1])
        return True

    cdef bint put_carried(self, Out* row, tuple members) except -1:
        cdef Column column
        for item, index in self.carried:
            column = <Column>item
            value = column.normal(members[index])
            if value is _not_plain:
                return False
            put_bytes(row, column.label)
            put_value(row, value)
        return True
