/*
 * document.h - opens a file below the document root, and nothing else.
 */
#ifndef AWS_DOCUMENT_H
#define AWS_DOCUMENT_H

#include <stdint.h>
#include <time.h>

#include "profile.h"

struct document {
    int fd; /* open for reading; the caller's to close */
    uint64_t size;
    time_t modified;
};

/*
 * Open the regular file `path` relative to the directory `root`. Links are followed as long as they stay below the root
 * (RESOLVE_BENEATH, openat2(2)); where the kernel does not know openat2, no link is followed. FIFOs and devices are
 * never waited for (O_NONBLOCK). FINDING_FILE fills `document`; FINDING_NOTHING, FINDING_FORBIDDEN and
 * FINDING_SERVER_EXHAUSTED leave nothing open.
 */
enum finding document_open(int root, const char *path, struct document *document);

#endif
