/*
 * fixture.h - the requests of fixtures/requests, read by the format that is described there.
 */
#ifndef AWS_FIXTURE_H
#define AWS_FIXTURE_H

#include <stddef.h>

struct fixture {
    char *name;   /* of the file */
    char *parser; /* what the request reader must say: "done METHOD TARGET VERSION", "bad" or "more" */
    char *bytes;  /* the request, NUL-terminated beyond its end */
    size_t count;
};

/* Read them all, by name; the test fails if there are none or one is not as it should be. */
struct fixture *fixtures_read(size_t *count);

void fixtures_free(struct fixture *fixtures, size_t count);

#endif
