/*
 * response.c - status line and fields (RFC 9112 section 4, RFC 9110 sections 6.6.1, 8.3, 8.6, 8.8.2).
 *
 * Pure: the time is handed in, the buffer is the caller's.
 */
#include "response.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile.h"

static const char not_found[] = "Not Found\n";

/* A date as RFC 9110 section 5.6.7 wants it: "Sun, 06 Nov 1994 08:49:37 GMT". */
#define IMF_DATE_SIZE 64

static const char *imf_date(time_t when, char out[IMF_DATE_SIZE])
{
    struct tm tm;
    /* The grammar wants four digits. Another year can only come from a damaged inode: the Epoch stands for it. */
    if (!gmtime_r(&when, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 1000)
        gmtime_r(&(time_t){0}, &tm);
    strftime(out, IMF_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return out;
}

/* Append to the head of `length` bytes in `out`; returns the new length. */
__attribute__((format(printf, 3, 4))) static size_t append(char *out, size_t length, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(out + length, RESPONSE_SIZE_MAX - length, format, arguments);
    va_end(arguments);
    assert(added >= 0 && length + (size_t)added < RESPONSE_SIZE_MAX && "a head outgrew RESPONSE_SIZE_MAX");
    return length + (size_t)added;
}

size_t response_write(const struct response *response, char *out)
{
    bool found = response->status == 200;
    uint64_t body_length = found ? response->length : sizeof not_found - 1;
    char date[IMF_DATE_SIZE];

    size_t length = append(out, 0, "HTTP/1.1 %d %s\r\n", response->status, profile_reason(response->status));
    length = append(out, length, "Date: %s\r\n", imf_date(response->now, date));
    length = append(out, length, "Content-Type: %s\r\n", found ? response->type : "text/plain; charset=utf-8");
    length = append(out, length, "Content-Length: %" PRIu64 "\r\n", body_length);
    if (found) {
        time_t modified = response->last_modified < response->now ? response->last_modified : response->now;
        length = append(out, length, "Last-Modified: %s\r\n", imf_date(modified, date));
    }
    length = append(out, length, "Connection: close\r\n\r\n");
    if (!found && !response->head_only)
        length = append(out, length, "%s", not_found);
    return length;
}
