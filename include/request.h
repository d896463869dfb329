/*
 * request.h - bytes in, one request head out.
 *
 * A request is fed as bytes come, in pieces of any size. Only what must survive until the answer is kept: the target,
 * which the parser hands over in pieces too, and a few facts. Nothing here touches a socket or the file system.
 */
#ifndef AWS_REQUEST_H
#define AWS_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Request line and fields together. RFC 9110 section 5.4 leaves the limit to the server; browsers stay below 8 KiB. */
#define REQUEST_HEAD_MAX 16384

/* RFC 9112 section 3 recommends that request lines of 8,000 octets are handled. */
#define REQUEST_TARGET_MAX 8000

enum request_verdict {
    REQUEST_MORE, /* the head is not complete yet */
    REQUEST_DONE, /* the head is complete: method, version and target can be read */
    REQUEST_BAD,  /* not a request, over a limit, or no memory for its target; `problem` says which */
};

enum request_problem {
    REQUEST_FINE,
    REQUEST_MALFORMED,
    REQUEST_HEAD_TOO_LARGE,
    REQUEST_TARGET_TOO_LONG,
    REQUEST_NO_MEMORY,
};

struct request {
    http_parser parser; /* method, http_major, http_minor are valid when done */
    char *target;       /* as received, NUL-terminated; NULL until its first byte; owned */
    uint16_t target_length;
    uint16_t target_size; /* bytes allocated for target */
    uint16_t head_length; /* bytes of the head so far */
    uint8_t problem;      /* enum request_problem */
    bool more_follows;    /* bytes came after the head, or its fields announce content */
};

/* Make `request` empty. It owns nothing until it is fed. */
void request_init(struct request *request);

/* Free what `request` owns and make it empty again. */
void request_destroy(struct request *request);

/* Take the next `count` bytes, count > 0. After DONE or BAD it must not be fed again. Bytes after the head are not
 * looked at: the profile `assignment` answers one request per connection. */
enum request_verdict request_feed(struct request *request, const char *bytes, size_t count);

#endif
