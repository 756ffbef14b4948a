# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of `Codec.recognise`, for every envelope that has a `Layout`.

msgspec reads the JSON; what it read is checked and written here, straight into the bytes of the
row and of the content. Values are written by their type: nothing of an entity is known here. What
takes a closer look goes to the same functions as in Python, and a record that is too large for the
buffers to the whole function in Python.
"""

from datetime import UTC
from types import MemberDescriptorType

import msgspec

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
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, strcmp

import_datetime()

cdef object _not_plain = object()

cdef enum:
    BUFFER = 16384
    NO_SLOT = -1

include "_json_bytes.pxi"


cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member


cdef Py_ssize_t slot_of(object type_, str name) except -1:
    """Return where the structs of a type have a member: it is in one of Python's slots."""
    cdef object member = getattr(type_, name)
    if type(member) is not MemberDescriptorType:
        raise TypeError(member)
    return (<PyMemberDescrObject*><PyObject*>member).d_member.offset


cdef inline object in_slot(object struct, Py_ssize_t slot):
    """Return a member of what msgspec decoded, which has all of them."""
    return <object>(<PyObject**>(<char*><PyObject*>struct + slot))[0]


cdef class Column:
    """A member of a row: what makes its value normal, and how the member begins in JSON."""

    cdef bytes label
    cdef object test, convert, absent, default
    cdef Py_ssize_t slot
    cdef int whole, places
    cdef bint is_content

    def __init__(self, label, type_, name, test, convert, absent, default, digits, is_content):
        self.label, self.test, self.convert = label, test, convert
        self.slot = slot_of(type_, name)
        self.absent, self.default, self.is_content = absent, default, is_content
        self.whole, self.places = digits or (-1, -1)

    cdef object normal(self, object struct):
        """Return the value that msgspec read in normal form, or `_not_plain`."""
        cdef object value = in_slot(struct, self.slot)
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
    cdef Py_ssize_t payload, time, event_id, action
    cdef bint time_is_text, key_is_text

    def __init__(self, pure, decode, columns, carried, labels, type_, members, read_time,
                 time_is_text, names, key_is_text, deletes, known):
        self.pure, self.decode, self.read_time, self.names = pure, decode, read_time, names
        self.columns, self.carried = columns, carried
        self.event_id_label, self.action_label, self.time_label, self.end_label = labels
        self.payload, self.time, self.event_id, self.action = [
            NO_SLOT if name is None else slot_of(type_, name) for name in members
        ]
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
        cdef object event, payload, action, event_time
        cdef int64_t us
        row.at, row.end = row_buffer, row_buffer + BUFFER
        content.at, content.end = content_buffer, content_buffer + BUFFER
        if not is_plain_text(value):
            return None
        payload = event = self.decode(value)
        if self.action != NO_SLOT:
            action = in_slot(event, self.action)
            if not self.takes(action):
                return None
        if self.payload != NO_SLOT:
            payload = in_slot(event, self.payload)
        event_time = self.put_fields(&row, &content, payload, key)
        if event_time is _not_plain:
            return None
        if self.event_id != NO_SLOT:
            put_bytes(&row, self.event_id_label)
            put_value(&row, in_slot(event, self.event_id))
        if self.action != NO_SLOT:
            put_bytes(&row, self.action_label)
            put_value(&row, action)
        put_bytes(&row, self.time_label)
        if self.payload == NO_SLOT:
            us = microseconds(event_time)
            put_time(&row, event_time)
        elif not self.put_event_time(&row, in_slot(event, self.time), &us):
            return None
        if not self.put_carried(&row, event):
            return None
        put_bytes(&row, self.end_label)
        put_value(&row, processing_time)
        put(&row, b"}", 1)
        put(&content, b"]", 1)
        return (
            in_slot(payload, (<Column>self.columns[0]).slot),
            us,
            PyBytes_FromStringAndSize(content_buffer, content.at - content_buffer),
            PyBytes_FromStringAndSize(row_buffer, row.at - row_buffer),
        )

    cdef bint takes(self, object action) except -1:
        return action not in self.deletes and (not self.known or action in self.known)

    cdef object put_fields(self, Out* row, Out* content, object payload, bytes key):
        """Write the model's fields; return the value of the event time's field, or `_not_plain`."""
        cdef Column column
        cdef object value, event_time = None
        cdef bint is_id
        cdef char* start
        cdef char* first = content.at
        cdef char* first_in_row = row.at
        for item in self.columns:
            column = <Column>item
            value = column.normal(payload)
            if value is _not_plain:
                return _not_plain
            is_id = row.at == first_in_row
            put_bytes(row, column.label)
            start = row.at
            put_value(row, value)
            if is_id and not self.is_key_of(value, key, start, row.at - start):
                return _not_plain
            if column.slot == self.time:
                event_time = value
            if column.is_content:
                put(content, b"[" if content.at == first else b",", 1)
                if type(value) is datetime and datetime_microsecond(value) == 0:
                    put(content, start, 1 + SECOND_CHARS)  # as msgspec writes a whole second
                    put(content, b'Z"', 2)
                else:
                    put(content, start, row.at - start)
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

    cdef bint put_carried(self, Out* row, object event) except -1:
        cdef Column column
        for item in self.carried:
            column = <Column>item
            value = column.normal(event)
            if value is _not_plain:
                return False
            put_bytes(row, column.label)
            put_value(row, value)
        return True
