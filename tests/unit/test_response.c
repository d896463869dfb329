/*
 * test_response.c - heads, read back by the grammar of RFC 9112 section 4 and RFC 9110.
 */
#include "response.h"

#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* 1994-11-06 08:49:37 UTC, the example of RFC 9110 section 5.6.7. */
#define EXAMPLE_S ((time_t)784111777)
#define EXAMPLE_DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define EPOCH_DATE "Thu, 01 Jan 1970 00:00:00 GMT"

#define CANARY '\x7e'

/* Write `response` and return it as a string, which the next call overwrites. */
static char *write_response(const struct response *response)
{
    static char out[RESPONSE_SIZE_MAX + 1];
    memset(out, CANARY, sizeof out);
    size_t length = response_write(response, out);
    cr_assert(le(sz, length, RESPONSE_SIZE_MAX));
    cr_assert(eq(chr, out[RESPONSE_SIZE_MAX], CANARY), "written beyond the end");
    out[length] = '\0';
    cr_assert(eq(sz, strlen(out), length), "a NUL was counted");
    return out;
}

static struct response file_of(uint64_t length)
{
    return (struct response){
        .status = 200, .length = length, .type = "text/css", .last_modified = EXAMPLE_S, .now = EXAMPLE_S + 1};
}

/* The value of the field `name` of a head, which the next call overwrites; "" if it is not there. */
static char *value_of(const char *head, const char *name)
{
    static char value[RESPONSE_SIZE_MAX];
    char start[64];
    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *field = strstr(head, start);
    value[0] = '\0';
    if (field)
        sscanf(field + strlen(start), "%511[^\r]", value);
    return value;
}

Test(response, a_file_s_head_is_as_the_assignment_wants_it)
{
    struct response response = file_of(12345);
    cr_assert(eq(str, write_response(&response),
                 text("HTTP/1.1 200 OK\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
                      "Content-Type: text/css\r\n"
                      "Content-Length: 12345\r\n"
                      "Last-Modified: " EXAMPLE_DATE "\r\n"
                      "Connection: close\r\n"
                      "\r\n")));
}

Test(response, a_404_brings_its_body_and_no_date_of_a_file)
{
    struct response response = {.status = 404, .length = 99, .now = EXAMPLE_S};
    cr_assert(eq(str, write_response(&response),
                 text("HTTP/1.1 404 Not Found\r\n"
                      "Date: " EXAMPLE_DATE "\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Length: 10\r\n"
                      "Connection: close\r\n"
                      "\r\n"
                      "Not Found\n")));
}

Test(response, an_answer_to_head_has_the_same_fields_and_no_body)
{
    struct response responses[] = {file_of(7), {.status = 404, .now = EXAMPLE_S}};
    for (size_t i = 0; i < 2; i++) {
        char to_get[RESPONSE_SIZE_MAX + 1];
        strcpy(to_get, write_response(&responses[i]));
        strstr(to_get, "\r\n\r\n")[4] = '\0';
        responses[i].head_only = true;
        cr_assert(eq(str, write_response(&responses[i]), to_get));
    }
}

Test(response, every_head_obeys_the_grammar)
{
    /* RFC 9112 section 4; of field values RFC 9110 sections 5.6.7 (IMF-fixdate), 8.3.1 (media type), 8.6. */
#define DATE "(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] [A-Z][a-z]{2} [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT\r\n"
    const char *pattern = "^HTTP/1\\.1 (200 OK|404 Not Found)\r\n"
                          "Date: " DATE "Content-Type: [a-z]+/[a-z0-9.+-]+(; charset=utf-8)?\r\n"
                          "Content-Length: (0|[1-9][0-9]*)\r\n"
                          "(Last-Modified: " DATE ")?"
                          "Connection: close\r\n"
                          "\r\n"
                          "(Not Found\n)?$";
    regex_t grammar;
    cr_assert(zero(int, regcomp(&grammar, pattern, REG_EXTENDED | REG_NOSUB)));

    const time_t times[] = {LONG_MIN,     -62135596800, -1,           0,       1, EXAMPLE_S, INT_MAX,
                            INT_MAX + 1L, 253402300799, 253402300800, LONG_MAX};
    const uint64_t lengths[] = {0, 1, 4294967296, UINT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0] * 4 * 2; i++) {
        struct response response = file_of(lengths[i / 2 % 4]);
        response.status = i % 2 ? 200 : 404;
        response.now = response.last_modified = times[i / 8];
        const char *head = write_response(&response);
        cr_expect(zero(int, regexec(&grammar, head, 0, NULL, 0)), "not by the grammar:\n%s", head);
    }
    regfree(&grammar);
}

Test(response, lengths_are_exact_up_to_64_bits)
{
    const struct {
        uint64_t length;
        const char *text;
    } rows[] = {{0, "0"},
                {1, "1"},
                {2147483648, "2147483648"},
                {4294967296, "4294967296"},
                {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response response = file_of(rows[i].length);
        cr_expect(eq(str, value_of(write_response(&response), text("Content-Length")), text(rows[i].text)));
    }
}

Test(response, dates_are_those_of_the_calendar)
{
    const struct {
        time_t when;
        const char *date;
    } rows[] = {
        {0, EPOCH_DATE},
        {EXAMPLE_S, EXAMPLE_DATE},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {2147483647, "Tue, 19 Jan 2038 03:14:07 GMT"},
        {2147483648, "Tue, 19 Jan 2038 03:14:08 GMT"}, /* one more than 32 bits hold */
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}, /* 2100 has no 29 February */
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {253402300800, EPOCH_DATE}, /* five digits are not a date */
        {LONG_MAX, EPOCH_DATE},     /* a year beyond int */
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {-30610224000, "Wed, 01 Jan 1000 00:00:00 GMT"},
        {-30610224001, EPOCH_DATE}, /* nor are three */
        {LONG_MIN, EPOCH_DATE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response response = {.status = 404, .now = rows[i].when};
        cr_expect(eq(str, value_of(write_response(&response), text("Date")), text(rows[i].date)), "of %lld",
                  (long long)rows[i].when);
    }
}

Test(response, a_file_is_never_modified_later_than_now)
{
    const struct {
        time_t modified, now;
        const char *date;
    } rows[] = {
        {EXAMPLE_S, EXAMPLE_S + 1, EXAMPLE_DATE}, {EXAMPLE_S, EXAMPLE_S, EXAMPLE_DATE},
        {EXAMPLE_S + 1, EXAMPLE_S, EXAMPLE_DATE}, /* in the future: RFC 9110 section 8.8.2.1 */
        {LONG_MAX, EXAMPLE_S, EXAMPLE_DATE},      {-86400, EXAMPLE_S, "Wed, 31 Dec 1969 00:00:00 GMT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response response = file_of(1);
        response.last_modified = rows[i].modified;
        response.now = rows[i].now;
        cr_expect(eq(str, value_of(write_response(&response), text("Last-Modified")), text(rows[i].date)), "row %zu",
                  i);
    }
}

Test(response, the_longest_head_leaves_room)
{
    struct response response = file_of(UINT64_MAX);
    response.type = "text/javascript; charset=utf-8"; /* the longest of mime.c */
    size_t length = strlen(write_response(&response));
    cr_assert(lt(sz, length, RESPONSE_SIZE_MAX / 2), "a longer field would soon be too long");
}
