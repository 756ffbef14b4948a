# Values in normal form to the bytes of JSON, and texts of events to numbers: what is left of
# `recognise` in C. Part of _recogniser.pyx.

cdef object _encode = msgspec.json.Encoder().encode
cdef object _utc = UTC

cdef enum:
    SECOND_CHARS = 19  # 2023-12-01T10:30:00
    TIME_CHARS = 27  # 2023-12-01T10:30:00.123456Z
    EPOCH_DAYS = 719162  # from 0001-01-01 to 1970-01-01
    NO_NUMBER = 99999
    ASCII_BYTES = 32  # looked at together

cdef uint64_t HIGH_BITS = 0x8080808080808080
cdef int64_t NO_TIME = -(<int64_t>1 << 62)
cdef int[13] DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]


cdef struct Out:
    char* at
    char* end


cdef bint is_plain_text(bytes value) except -1:
    """As `strict_json.is_plain_text`, but false where that raises."""
    cdef const char* text = PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    return is_utf8(<const unsigned char*>text, size) and (
        memchr(text, b"\\", size) == NULL or b"\\u0000" not in value
    )


cdef bint is_utf8(const unsigned char* at, Py_ssize_t size) noexcept:
    """Tell whether bytes that a NUL follows are UTF-8, as strictly as Python's decoder does.

    The NUL continues no sequence: nothing after it is looked at.
    """
    cdef const unsigned char* end = at + size
    cdef uint64_t high_bits = HIGH_BITS
    cdef uint64_t[4] words
    cdef unsigned char least, most
    while at < end:
        while end - at >= ASCII_BYTES:
            memcpy(words, at, ASCII_BYTES)
            if (words[0] | words[1] | words[2] | words[3]) & high_bits:
                break
            at += ASCII_BYTES
        while at[0] < 0x80 and at < end:
            at += 1
        if at == end:
            break
        if at[0] < 0xC2:  # a continuation, or an overlong form of ASCII
            return False
        elif at[0] < 0xE0:
            if at[1] & 0xC0 != 0x80:
                return False
            at += 2
        elif at[0] < 0xF0:
            least = 0xA0 if at[0] == 0xE0 else 0x80  # overlong
            most = 0x9F if at[0] == 0xED else 0xBF  # surrogates
            if not least <= at[1] <= most or at[2] & 0xC0 != 0x80:
                return False
            at += 3
        elif at[0] < 0xF5:
            least = 0x90 if at[0] == 0xF0 else 0x80  # overlong
            most = 0x8F if at[0] == 0xF4 else 0xBF  # beyond U+10FFFF
            if not least <= at[1] <= most or at[2] & 0xC0 != 0x80 or at[3] & 0xC0 != 0x80:
                return False
            at += 4
        else:
            return False
    return True


cdef bint is_decimal(object value, int whole, int places) except -1:
    """Tell whether a text is that of a decimal of at least 0, as `wire_forms.is_decimal_text`."""
    cdef Py_ssize_t size, at
    cdef const char* text = PyUnicode_AsUTF8AndSize(value, &size)
    cdef Py_ssize_t before = size - places - 1 if places else size
    if before < 1 or before > (whole if whole else 1):
        return False
    if text[0] == b"0" and before > 1 or (not whole and text[0] != b"0"):
        return False
    for at in range(size):
        if at == before:
            if text[at] != b".":
                return False
        elif text[at] < b"0" or text[at] > b"9":
            return False
    return True


cdef int need(Out* out, Py_ssize_t size) except -1:
    if out.end - out.at < size:
        raise OverflowError
    return 0


cdef int put(Out* out, const char* text, Py_ssize_t size) except -1:
    need(out, size)
    memcpy(out.at, text, size)
    out.at += size
    return 0


cdef int put_bytes(Out* out, bytes text) except -1:
    return put(out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef int put_value(Out* out, object value) except -1:
    """Write a value in normal form as msgspec does, but a time always with its fraction."""
    if value is None:
        return put(out, b"null", 4)
    if type(value) is str:
        return put_text(out, value)
    if type(value) is datetime:
        return put_time(out, value)
    if type(value) is int:
        return put_integer(out, value)
    return put_bytes(out, _encode(value))


cdef int put_integer(Out* out, int64_t value) except -1:
    cdef char[20] digits
    cdef int first = 20
    if value < 0:
        return put_bytes(out, b"%d" % value)
    while True:
        first -= 1
        digits[first] = 48 + value % 10
        value //= 10
        if not value:
            return put(out, digits + first, 20 - first)


cdef int put_text(Out* out, object value) except -1:
    cdef Py_ssize_t size, at
    cdef const char* text = PyUnicode_AsUTF8AndSize(value, &size)
    cdef unsigned char escapes = 0
    for at in range(size):  # without a branch: several bytes are looked at together
        escapes |= (
            (<unsigned char>text[at] < 32) | (text[at] == b'"') | (text[at] == b"\\")
        )
    if escapes:
        return put_bytes(out, _encode(value))
    need(out, size + 2)
    out.at[0] = b'"'
    memcpy(out.at + 1, text, size)
    out.at[size + 1] = b'"'
    out.at += size + 2
    return 0


cdef void put_digits(char* at, int value, int count) noexcept:
    while count:
        count -= 1
        at[count] = 48 + value % 10
        value //= 10


cdef int put_time(Out* out, object time) except -1:
    """Write a time in UTC, as `times.time_text` does."""
    cdef char* at = out.at
    need(out, TIME_CHARS + 2)
    memcpy(at, b'"0000-00-00T00:00:00.000000Z"', TIME_CHARS + 2)
    put_digits(at + 1, datetime_year(time), 4)
    put_digits(at + 6, datetime_month(time), 2)
    put_digits(at + 9, datetime_day(time), 2)
    put_digits(at + 12, datetime_hour(time), 2)
    put_digits(at + 15, datetime_minute(time), 2)
    put_digits(at + 18, datetime_second(time), 2)
    put_digits(at + 21, datetime_microsecond(time), 6)
    out.at += TIME_CHARS + 2
    return 0


cdef int64_t seconds_to(int year, int month, int day, int hour, int minute, int second) noexcept:
    """Return the seconds from the epoch to a time; `NO_TIME` where there is none."""
    cdef bint leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    cdef int64_t days
    if year < 1 or year > 9999 or month < 1 or month > 12 or day < 1:
        return NO_TIME
    if hour > 23 or minute > 59 or second > 59:
        return NO_TIME
    if day > DAYS_BEFORE[month] - DAYS_BEFORE[month - 1] + (leap and month == 2):
        return NO_TIME
    year -= 1
    days = 365 * year + year // 4 - year // 100 + year // 400 - EPOCH_DAYS
    days += DAYS_BEFORE[month - 1] + (leap and month > 2) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


cdef int64_t microseconds(object time):
    """As `times.microseconds`."""
    return datetime_microsecond(time) + 1000000 * seconds_to(
        datetime_year(time), datetime_month(time), datetime_day(time),
        datetime_hour(time), datetime_minute(time), datetime_second(time),
    )


cdef int number(const char* text, int count) noexcept:
    """Return a number of so many digits; `NO_NUMBER` where there are others."""
    cdef int value = 0, at
    for at in range(count):
        if text[at] < b"0" or text[at] > b"9":
            return NO_NUMBER
        value = value * 10 + text[at] - 48
    return value


cdef bint put_instant(Out* out, const char* text, Py_ssize_t size, int64_t* us) except -1:
    """Write the text of a time in UTC as `times.read_plain_instant`; false for another form."""
    cdef int64_t second
    cdef int fraction = 0, digits = 0
    cdef const char* rest = text + SECOND_CHARS
    if size <= SECOND_CHARS or text[4] != b"-" or text[7] != b"-" or text[10] != b"T":
        return False
    if text[13] != b":" or text[16] != b":":
        return False
    second = seconds_to(number(text, 4), number(text + 5, 2), number(text + 8, 2),
                        number(text + 11, 2), number(text + 14, 2), number(text + 17, 2))
    if rest[0] == b".":
        rest += 1
        while digits < 6 and b"0" <= rest[digits] <= b"9":
            digits += 1
        if not digits:
            return False
        fraction = number(rest, digits)
        rest += digits
    if second == NO_TIME or (strcmp(rest, b"Z") != 0 and strcmp(rest, b"+00:00") != 0):
        return False
    while digits < 6:
        fraction *= 10
        digits += 1
    us[0] = second * 1000000 + fraction
    need(out, TIME_CHARS + 2)
    out.at[0] = b'"'
    memcpy(out.at + 1, text, SECOND_CHARS)
    out.at[SECOND_CHARS + 1] = b"."
    put_digits(out.at + SECOND_CHARS + 2, fraction, 6)
    memcpy(out.at + TIME_CHARS, b'Z"', 2)
    out.at += TIME_CHARS + 2
    return True
