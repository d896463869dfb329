/*
 * response.h - the head of a response, written into a caller's buffer.
 */
#ifndef AWS_RESPONSE_H
#define AWS_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Enough for every head that response_write can make, a 404's body included. */
#define RESPONSE_SIZE_MAX 512

struct response {
    int status;           /* 200 or 404 */
    uint64_t length;      /* of a 200's body, in bytes; a 404 brings its own */
    const char *type;     /* of a 200's body */
    time_t last_modified; /* of a 200's file; sent no later than `now` (RFC 9110 section 8.8.2.1) */
    time_t now;           /* for the Date field, seconds since the Epoch */
    bool head_only;       /* the request was HEAD: the same fields, no body (RFC 9110 section 9.3.2) */
};

/* Write the head of `response` into `out`, which has room for RESPONSE_SIZE_MAX bytes; a 404's short body with it.
 * Returns the number of bytes; no NUL counts. */
size_t response_write(const struct response *response, char *out);

#endif
