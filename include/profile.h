/*
 * profile.h - which status code answers which finding.
 *
 * The server finds out precisely what is the matter with a request; how much of that it tells is the profile's choice.
 * The profile `assignment` knows two codes only.
 */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

enum finding {
    FINDING_FILE,             /* a regular file that can be read */
    FINDING_NOTHING,          /* no such file, not a regular one, or outside the root */
    FINDING_FORBIDDEN,        /* it is there, but not for us to read */
    FINDING_MALFORMED,        /* not a request by the grammar, or of another major version */
    FINDING_METHOD,           /* neither GET nor HEAD */
    FINDING_HEAD_TOO_LARGE,   /* over REQUEST_HEAD_MAX */
    FINDING_TARGET_TOO_LONG,  /* over REQUEST_TARGET_MAX */
    FINDING_SERVER_EXHAUSTED, /* descriptors or memory ran out */
};

/* The status code for `finding`: 200 or 404. */
int profile_status(enum finding finding);

/* The reason phrase of a status code that profile_status returns. */
const char *profile_reason(int status);

#endif
