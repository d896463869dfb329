/*
 * request.c - feeds libhttp-parser and keeps what its callbacks must not lose.
 *
 * The parser calls on_url once for each PIECE of the target: a request that arrives byte by byte causes a call per
 * byte. So pieces are appended, never assigned. It is stopped at the end of the head by pausing it there: a body, if
 * one was announced, is never ours to read.
 */
#include "request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Room for the target at its first byte; most targets fit and never grow. */
#define TARGET_FIRST_SIZE 128

static int refuse(struct request *request, enum request_problem problem)
{
    request->problem = (uint8_t)problem;
    return -1;
}

/* Make room for `needed` bytes of target in all. Growth doubles, so a target of n bytes costs O(n) copies. */
static bool reserve_target(struct request *request, size_t needed)
{
    size_t size = request->target_size ? request->target_size : TARGET_FIRST_SIZE;
    while (size < needed)
        size *= 2;
    if (size == request->target_size)
        return true;

    char *grown = realloc(request->target, size);
    if (!grown)
        return false;
    request->target = grown;
    request->target_size = (uint16_t)size;
    return true;
}

static int on_url(http_parser *parser, const char *bytes, size_t count)
{
    struct request *request = parser->data;
    size_t length = request->target_length + count;

    if (length > REQUEST_TARGET_MAX)
        return refuse(request, REQUEST_TARGET_TOO_LONG);
    if (!reserve_target(request, length + 1))
        return refuse(request, REQUEST_NO_MEMORY);
    memcpy(request->target + request->target_length, bytes, count);
    request->target[length] = '\0';
    request->target_length = (uint16_t)length;
    return 0;
}

/* content_length is all ones when no field gave one (http_parser.h). */
static bool announces_content(const http_parser *parser)
{
    bool has_length = parser->content_length != 0 && parser->content_length != UINT64_MAX;
    return has_length || (parser->flags & F_CHUNKED) || parser->upgrade;
}

static int on_headers_complete(http_parser *parser)
{
    struct request *request = parser->data;
    request->more_follows = announces_content(parser);
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
};

void request_init(struct request *request)
{
    *request = (struct request){0};
    http_parser_init(&request->parser, HTTP_REQUEST);
}

void request_destroy(struct request *request)
{
    free(request->target);
    request_init(request);
}

enum request_verdict request_feed(struct request *request, const char *bytes, size_t count)
{
    assert(count > 0 && "an empty feed would mean the end of the stream to the parser");
    assert(request->problem == REQUEST_FINE && "fed after its end");

    /* One byte more than the limit is enough to see that the head goes beyond it. */
    size_t allowed = REQUEST_HEAD_MAX + 1 - (size_t)request->head_length;
    size_t offered = count < allowed ? count : allowed;

    request->parser.data = request;
    size_t used = http_parser_execute(&request->parser, &settings, bytes, offered);
    enum http_errno error = HTTP_PARSER_ERRNO(&request->parser);
    bool done = error == HPE_PAUSED;
    if (done)
        used++; /* the parser stops ON the line feed that ends the head */
    request->head_length = (uint16_t)(request->head_length + used);

    if (!done && error != HPE_OK) {
        if (request->problem == REQUEST_FINE)
            refuse(request, error == HPE_HEADER_OVERFLOW ? REQUEST_HEAD_TOO_LARGE : REQUEST_MALFORMED);
        return REQUEST_BAD;
    }
    if (request->head_length > REQUEST_HEAD_MAX) {
        refuse(request, REQUEST_HEAD_TOO_LARGE);
        return REQUEST_BAD;
    }
    if (!done)
        return REQUEST_MORE;
    request->more_follows |= used < count;
    return REQUEST_DONE;
}
