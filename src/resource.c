/*
 * resource.c - splits a target by libhttp-parser's URL parser, decodes the path, checks its segments.
 *
 *   http://host:8888/static/a%20b?x=1      target
 *                   /static/a%20b          its path (UF_PATH)
 *                    static/a b            decoded, relative to the root
 *                   STATIC                 by the first segment
 */
#include "resource.h"

#include <http_parser.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Decode `length` bytes of `from` into `to` (room for length + 1). False for a broken encoding and for the two octets
 * that no file name can hold: an encoded NUL would cut the name, an encoded slash would add a segment. */
static bool percent_decode(const char *from, size_t length, char *to)
{
    size_t at = 0;
    while (at < length) {
        char octet = from[at++];
        if (octet == '%') {
            int high = at < length ? hex_value(from[at]) : -1;
            int low = at + 1 < length ? hex_value(from[at + 1]) : -1;
            if (high < 0 || low < 0)
                return false;
            octet = (char)(high * 16 + low);
            if (octet == '\0' || octet == '/')
                return false;
            at += 2;
        }
        *to++ = octet;
    }
    *to = '\0';
    return true;
}

/* Whether each segment of `path` is a name: not empty, not "." and not "..". */
static bool segments_are_names(const char *path)
{
    for (;;) {
        size_t length = strcspn(path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[length] == '\0')
            return true;
        path += length + 1;
    }
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Find the path in `target`. False if the target is of no form that we serve. */
static bool split_target(const char *target, size_t length, struct http_parser_url *url)
{
    http_parser_url_init(url);
    if (http_parser_parse_url(target, length, 0, url) != 0 || !(url->field_set & (1u << UF_PATH)))
        return false;
    /* The asterisk-form is a path to the parser, and so is "*static/f", which is of no form. */
    if (target[url->field_data[UF_PATH].off] != '/')
        return false;
    if (!(url->field_set & (1u << UF_SCHEMA)))
        return true;
    size_t scheme = url->field_data[UF_SCHEMA].len;
    return scheme == strlen("http") && strncasecmp(target + url->field_data[UF_SCHEMA].off, "http", scheme) == 0;
}

enum resource_kind resource_find(const char *target, size_t length, char *path)
{
    struct http_parser_url url;
    if (!split_target(target, length, &url))
        return RESOURCE_NONE;

    const char *encoded = target + url.field_data[UF_PATH].off;
    if (!percent_decode(encoded + 1, url.field_data[UF_PATH].len - 1u, path) || !segments_are_names(path))
        return RESOURCE_NONE;
    if (has_prefix(path, "static/"))
        return RESOURCE_STATIC;
    if (has_prefix(path, "dynamic/"))
        return RESOURCE_DYNAMIC;
    return RESOURCE_NONE;
}
