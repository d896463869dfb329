/*
 * resource.h - from a request target to what it names below the document root.
 */
#ifndef AWS_RESOURCE_H
#define AWS_RESOURCE_H

#include <stddef.h>

enum resource_kind {
    RESOURCE_NONE,    /* names nothing that this server serves */
    RESOURCE_STATIC,  /* below static/: sent by sendfile */
    RESOURCE_DYNAMIC, /* below dynamic/: read by Linux AIO */
};

/*
 * Find what `target` (`length` bytes, origin-form or http absolute-form, RFC 9112 section 3.2) names. For STATIC and
 * DYNAMIC, `path` is then the percent-decoded, NUL-terminated path relative to the root ("static/a b"); it needs room
 * for length + 1 bytes. For NONE its content is undefined. A query is ignored.
 *
 * Strict on purpose: a `.` or `..` segment however spelled, an empty segment, a broken or NUL percent-encoding, and an
 * encoded slash (data, not a separator: RFC 3986 section 2.2) all name nothing. openat2 guards the root once more.
 */
enum resource_kind resource_find(const char *target, size_t length, char *path);

#endif
