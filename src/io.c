/*
 * io.c - one pure function that sorts the results of recv, send and sendfile.
 *
 * Each caller then speaks of verdicts and none of errno values; a new errno is sorted here or nowhere.
 */
#include "io.h"

#include <errno.h>

enum io_verdict io_judge(ssize_t result)
{
    if (result > 0)
        return IO_PROGRESS;
    switch (-result) {
    case 0:
        return IO_END;
    case EAGAIN:
        return IO_AGAIN;
    case EINTR:
        return IO_INTERRUPTED;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ETIMEDOUT:
        return IO_GONE;
    default:
        return IO_FAILED;
    }
}
