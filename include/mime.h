/*
 * mime.h - the media type of a file by its name.
 */
#ifndef AWS_MIME_H
#define AWS_MIME_H

/* The value of Content-Type for `path`, by the extension of its last segment, whatever its case; a name without a
 * known one is application/octet-stream (RFC 9110 section 8.3). The string is constant. */
const char *mime_type(const char *path);

#endif
