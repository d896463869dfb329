/*
 * profile.c - the one place that maps what was found to what is said.
 */
#include "profile.h"

int profile_status(enum finding finding)
{
    return finding == FINDING_FILE ? 200 : 404;
}

const char *profile_reason(int status)
{
    return status == 200 ? "OK" : "Not Found";
}
